// kafkajs: write, read, admin and errors as driver.rs asks for them.
//
// Its consumer exists only as a member of a group. Reading without one uses what the consumer itself is
// built on: its cluster, its Fetch request, its decoder and its decompression, one request after another for each partition.
'use strict'

const { Kafka, logLevel, CompressionTypes, CompressionCodecs, Partitioners } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const SEND_MESSAGES_MAX = 1000
const FETCH_BYTES = 1 << 20

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer),
})
const zstd = new Promise(resolve => ZstdCodec.run(module => resolve(new module.Streaming())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async buffer => Buffer.from((await zstd).decompress(buffer)),
})
const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

function client(bootstrap, retries = 5) {
  return new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries } })
}

async function write(bootstrap, topic, codec) {
  const chosen = new Map()
  const createPartitioner = () => {
    const partitioner = Partitioners.DefaultPartitioner()
    return asked => {
      const partition = partitioner(asked)
      chosen.set(asked.message, partition)
      return partition
    }
  }
  const producer = client(bootstrap).producer({ idempotent: true, createPartitioner })
  await producer.connect()
  let messages = []
  const send = async () => {
    const sent = await producer.send({ topic, acks: -1, compression: COMPRESSION[codec], messages })
    const next = new Map(sent.map(({ partition, baseOffset }) => [partition, BigInt(baseOffset)]))
    for (const message of messages) {
      const partition = chosen.get(message)
      const offset = next.get(partition)
      next.set(partition, offset + 1n)
      writeAck(partition, offset)
    }
    chosen.clear()
    messages = []
  }
  for await (const message of records()) {
    messages.push(message)
    if (messages.length === SEND_MESSAGES_MAX) await send()
  }
  if (messages.length > 0) await send()
  await producer.disconnect()
}

async function read(bootstrap, topic) {
  const kafka = client(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const createCluster = Object.getOwnPropertySymbols(kafka).find(symbol => symbol.description.endsWith('createCluster'))
  const cluster = kafka[createCluster]({})
  await cluster.connect()
  await cluster.addTargetTopic(topic)
  for (const { partition, low, high } of ends) {
    let next = BigInt(low)
    const leaders = cluster.findLeaderForPartitions(topic, [partition])
    const broker = await cluster.findBroker({ nodeId: Object.keys(leaders)[0] })
    while (next < BigInt(high)) {
      const of = { partition, fetchOffset: next.toString(), maxBytes: FETCH_BYTES }
      const { responses } = await broker.fetch({
        replicaId: -1,
        isolationLevel: 0,
        maxWaitTime: 1000,
        maxBytes: FETCH_BYTES,
        topics: [{ topic, partitions: [of] }],
      })
      for (const message of responses[0].partitions[0].messages) {
        const offset = BigInt(message.offset)
        if (offset < next) continue
        writeRecord(partition, offset, message)
        next = offset + 1n
      }
    }
  }
  await cluster.disconnect()
}

async function admin(bootstrap, topic) {
  const kafka = client(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: '123456' }]
  const create = () => admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1, configEntries }] })
  answer('created', await create())
  // It reports an existing topic as "false", not as an error.
  answer('create_again', await create())
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  for (let index = 0; index < 10; index++) {
    const message = { partition: 1, value: 'x', timestamp: String(1000 * index + 1) }
    await producer.send({ topic, acks: -1, messages: [message] })
  }
  await producer.disconnect()
  const cluster = await admin.describeCluster()
  answer('brokers', cluster.brokers.length)
  answer('cluster_id', cluster.clusterId.length > 0)
  answer('controller', cluster.brokers.some(({ nodeId }) => nodeId === cluster.controller))
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
  answer('partitions', metadata.topics[0].partitions.length)
  const described = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['max.message.bytes'] }] })
  answer('max_message_bytes', described.resources[0].configEntries[0].configValue)
  const offsets = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 1)
  answer('earliest', offsets.low)
  answer('latest', offsets.high)
  const at = await admin.fetchTopicOffsetsByTimestamp(topic, 4500)
  answer('at_time', at.find(({ partition }) => partition === 1).offset)
  await admin.deleteTopics({ topics: [topic] })
  answer('delete_again', await errorOf(() => admin.deleteTopics({ topics: [topic] })))
  await admin.disconnect()
}

async function errors(bootstrap, topic) {
  const kafka = client(bootstrap, 1)
  const produce = async (topic, message) => {
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const error = await errorOf(() => producer.send({ topic, acks: -1, messages: [message] }))
    await producer.disconnect()
    return error
  }
  const admin = kafka.admin()
  await admin.connect()
  answer('unknown_topic_produce', await produce(`${topic}-absent`, { value: 'x' }))
  answer('unknown_topic_consume', await errorOf(() => admin.fetchTopicOffsets(`${topic}-absent`)))
  answer('record_too_large', await produce(topic, { value: Buffer.alloc(200000) }))
  // Not asked: a partition that does not exist. kafkajs finds no leader for it, sends nothing, and reports success.
  await admin.disconnect()
}

async function errorOf(action) {
  try {
    await action()
    return 'success'
  } catch (error) {
    return error.type || (error.cause && error.cause.type) || error.name
  }
}

// ---- the frames of record.rs ----

const output = []
let buffered = 0

function flush() {
  const all = Buffer.concat(output)
  output.length = 0
  buffered = 0
  // Synchronously, so that a full pipe holds the reader back. A pipe that is full answers EAGAIN.
  for (let at = 0; at < all.length; ) {
    try {
      at += require('fs').writeSync(1, all, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

function emit(buffer) {
  output.push(buffer)
  buffered += buffer.length
  if (buffered > 1 << 18) flush()
}

function int32(value) {
  const buffer = Buffer.allocUnsafe(4)
  buffer.writeInt32BE(value)
  return buffer
}

function int64(value) {
  const buffer = Buffer.allocUnsafe(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}

function emitBytes(content) {
  emit(int32(content === null ? -1 : content.length))
  if (content !== null) emit(content)
}

function writeAck(partition, offset) {
  emit(int32(partition))
  emit(int64(offset))
}

function writeRecord(partition, offset, { timestamp, key, value, headers }) {
  emit(int32(partition))
  emit(int64(offset))
  emit(int64(timestamp))
  emitBytes(key)
  emitBytes(value)
  const entries = Object.entries(headers)
  emit(int32(entries.length))
  for (const [name, content] of entries) {
    emitBytes(Buffer.from(name))
    emitBytes(content)
  }
}

async function* records() {
  let pending = Buffer.alloc(0)
  for await (const chunk of process.stdin) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    let at = 0
    for (;;) {
      const decoded = decode(pending, at)
      if (decoded === null) break
      at = decoded.end
      yield decoded.message
    }
    pending = pending.subarray(at)
  }
  if (pending.length > 0) throw new Error('a frame ended early')
}

// The record that begins at `at`, or null if it has not all arrived.
function decode(buffer, at) {
  let end = at
  const take = length => {
    if (end + length > buffer.length) throw new RangeError('more to come')
    end += length
    return end - length
  }
  const takeBytes = () => {
    const length = buffer.readInt32BE(take(4))
    return length < 0 ? null : Buffer.from(buffer.subarray(take(length), end))
  }
  try {
    const message = {}
    const partition = buffer.readInt32BE(take(4))
    if (partition >= 0) message.partition = partition
    take(8)
    const timestamp = buffer.readBigInt64BE(take(8))
    if (timestamp >= 0n) message.timestamp = timestamp.toString()
    message.key = takeBytes()
    message.value = takeBytes()
    message.headers = {}
    for (let left = buffer.readInt32BE(take(4)); left > 0; left--) {
      const name = takeBytes().toString()
      message.headers[name] = takeBytes()
    }
    return { message, end }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

// One member of a group; it leaves when standard input ends.
async function group(bootstrap, topic, groupId, protocol) {
  if (protocol !== 'classic') throw new Error(`${protocol} is not known`)
  const say = line => process.stdout.write(`${line}\n`)
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 50 } })
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6000,
    heartbeatInterval: 200,
    maxWaitTimeInMs: 100,
  })
  consumer.on(consumer.events.REBALANCING, () => say('owns='))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[topic] || []
    say(`owns=${[...partitions].sort((a, b) => a - b).join(',')}`)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      say(`read=${partition}:${message.offset}`)
      const next = (BigInt(message.offset) + 1n).toString()
      await consumer.commitOffsets([{ topic, partition, offset: next }])
      say(`committed=${partition}:${next}`)
    },
  })
  await new Promise(resolve => process.stdin.on('end', resolve).resume())
  await consumer.disconnect()
}

function answer(name, value) {
  emit(Buffer.from(`${name}=${value}\n`))
}

const [command, ...rest] = process.argv.slice(2)
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const commands = { write, read, admin, errors, group }
commands[command](...rest).then(
  () => {
    flush()
    process.exit(0)
  },
  error => {
    process.stderr.write(`${error.stack}\n`)
    process.exit(1)
  }
)
