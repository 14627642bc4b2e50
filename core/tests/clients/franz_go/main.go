// franz-go: write, read, admin and errors as driver.rs asks for them.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const timeout = 30 * time.Second

var (
	in  = bufio.NewReaderSize(os.Stdin, 256<<10)
	out = bufio.NewWriterSize(os.Stdout, 256<<10)
)

func main() {
	bootstrap, topic := os.Args[2], os.Args[3]
	var err error
	switch os.Args[1] {
	case "write":
		err = write(bootstrap, topic, os.Args[4])
	case "read":
		err = read(bootstrap, topic)
	case "admin":
		err = admin(bootstrap, topic)
	case "group":
		err = group(bootstrap, topic, os.Args[4], os.Args[5])
	case "errors":
		err = meetErrors(bootstrap, topic)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// chosenOrHashed sends a record where its frame says, or by the hash of its key as the default partitioner does.
func chosenOrHashed() kgo.Partitioner {
	hashed := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		byKey := hashed.ForTopic(topic)
		return func(record *kgo.Record, partitions int) int {
			if record.Partition >= 0 {
				return int(record.Partition)
			}
			return byKey.Partition(record, partitions)
		}
	})
}

// group is one member of a group; it leaves when standard input ends.
func group(bootstrap, topic, group, protocol string) error {
	var lock sync.Mutex
	say := func(line string) {
		fmt.Fprintln(out, line)
		out.Flush()
	}
	// Which assignment gave the member a partition.
	owned, assignments := map[int32]int{}, 0
	change := func(partitions map[string][]int32, has bool) {
		lock.Lock()
		defer lock.Unlock()
		assignments++
		for _, partition := range partitions[topic] {
			if has {
				owned[partition] = assignments
			} else {
				delete(owned, partition)
			}
		}
		texts := []string{}
		for _, partition := range slices.Sorted(maps.Keys(owned)) {
			texts = append(texts, strconv.Itoa(int(partition)))
		}
		say("owns=" + strings.Join(texts, ","))
	}
	gain := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { change(partitions, true) }
	lose := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { change(partitions, false) }
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(gain), kgo.OnPartitionsRevoked(lose), kgo.OnPartitionsLost(lose),
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.MetadataMinAge(200 * time.Millisecond),
	}
	if protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		records := fetches.Records()
		lock.Lock()
		for _, record := range records {
			say(fmt.Sprintf("read=%d:%d", record.Partition, record.Offset))
		}
		polled := maps.Clone(owned)
		lock.Unlock()
		// Each partition by itself: the commit of one that another member has by now fails, and says nothing of the others.
		fetches.EachPartition(func(fetched kgo.FetchTopicPartition) {
			if len(fetched.Records) == 0 {
				return
			}
			last := fetched.Records[len(fetched.Records)-1]
			for {
				err := client.CommitRecords(ctx, last)
				lock.Lock()
				mine := owned[last.Partition] != 0 && owned[last.Partition] == polled[last.Partition]
				if err == nil {
					say(fmt.Sprintf("committed=%d:%d", last.Partition, last.Offset+1))
				}
				lock.Unlock()
				if err == nil {
					return
				}
				fmt.Fprintln(os.Stderr, err)
				if !mine || ctx.Err() != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	client.Close()
	return nil
}

func write(bootstrap, topic, codec string) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	// Idempotence and acks=all are this client's defaults.
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(chosenOrHashed()),
		// A topic that was created a moment ago may not be known yet; without this it would be asked for again only after 5 s.
		kgo.ProducerLinger(5*time.Millisecond), kgo.MetadataMinAge(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx := context.Background()
	var sent []*kgo.Record
	var failed error
	for {
		record, err := readRecord()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		sent = append(sent, record)
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	for _, record := range sent {
		writeInt32(record.Partition)
		writeInt64(record.Offset)
	}
	return nil
}

func read(bootstrap, topic string) error {
	ctx := context.Background()
	adminClient, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer adminClient.Close()
	ends, err := kadm.NewClient(adminClient).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	begins, err := kadm.NewClient(adminClient).ListStartOffsets(ctx, topic)
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		return err
	}
	open := map[int32]int64{}
	starts := map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		starts[end.Partition] = kgo.NewOffset().AtStart()
		if begin, _ := begins.Lookup(topic, end.Partition); end.Offset > begin.Offset {
			open[end.Partition] = end.Offset
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}), kgo.MetadataMinAge(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	for len(open) > 0 {
		waiting, cancel := context.WithTimeout(ctx, timeout)
		fetches := client.PollFetches(waiting)
		cancel()
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			writeRecord(record)
			if record.Offset+1 >= open[record.Partition] {
				delete(open, record.Partition)
			}
		})
	}
	return nil
}

func admin(bootstrap, topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	limit := "123456"
	configs := map[string]*string{"max.message.bytes": &limit}
	created, err := admin.CreateTopic(ctx, 3, 1, configs, topic)
	if err != nil {
		return err
	}
	answer("created_partitions", created.NumPartitions)
	_, again := admin.CreateTopic(ctx, 3, 1, configs, topic)
	answer("create_again", nameOf(again))
	for index := range 10 {
		record := &kgo.Record{Topic: topic, Partition: 1, Value: []byte("x"), Timestamp: time.UnixMilli(int64(1000*index + 1))}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
	}
	metadata, err := admin.Metadata(ctx, topic)
	if err != nil {
		return err
	}
	answer("brokers", len(metadata.Brokers))
	answer("cluster_id", metadata.Cluster != "")
	answer("partitions", len(metadata.Topics[topic].Partitions))
	answer("same_topic_id", metadata.Topics[topic].ID == created.ID)
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	for _, config := range described[0].Configs {
		if config.Key == "max.message.bytes" {
			answer("max_message_bytes", config.MaybeValue())
			answer("max_message_bytes_source", config.Source)
		}
	}
	// By the DescribeCluster request, which kadm has no method for.
	cluster, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	answer("describe_cluster_brokers", len(cluster.Brokers))
	offset := func(name string, listed kadm.ListedOffsets, err error) {
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			answer(name, nameOf(err))
			return
		}
		at, _ := listed.Lookup(topic, 1)
		answer(name, at.Offset)
	}
	listed, err := admin.ListStartOffsets(ctx, topic)
	offset("earliest", listed, err)
	listed, err = admin.ListEndOffsets(ctx, topic)
	offset("latest", listed, err)
	listed, err = admin.ListMaxTimestampOffsets(ctx, topic)
	offset("max_timestamp", listed, err)
	listed, err = admin.ListOffsetsAfterMilli(ctx, 4500, topic)
	offset("at_time", listed, err)
	epochs, err := admin.OffsetForLeaderEpoch(ctx, epochRequest(topic))
	if err != nil {
		return err
	}
	answer("epoch_end_offset", epochs[topic][1].EndOffset)
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	_, again = admin.DeleteTopic(ctx, topic)
	answer("delete_again", nameOf(again))
	return nil
}

func epochRequest(topic string) kadm.OffsetForLeaderEpochRequest {
	var request kadm.OffsetForLeaderEpochRequest
	request.Add(topic, 1, 0)
	return request
}

func meetErrors(bootstrap, topic string) error {
	absent := topic + "-absent"
	answer("unknown_topic_produce", produce(bootstrap, &kgo.Record{Topic: absent, Value: []byte("x")}))
	answer("unknown_topic_consume", consume(bootstrap, absent, 0))
	answer("record_too_large", produce(bootstrap, &kgo.Record{Topic: topic, Value: make([]byte, 200_000)}))
	answer("no_such_partition_produce", produce(bootstrap, &kgo.Record{Topic: topic, Partition: 99, Value: []byte("x")}))
	answer("no_such_partition_consume", consume(bootstrap, topic, 99))
	answer("no_such_partition_on_the_wire", fetchOnTheWire(bootstrap, topic, 99))
	answer("out_of_range_on_the_wire", fetchOnTheWire(bootstrap, topic, 0))
	return nil
}

func produce(bootstrap string, record *kgo.Record) string {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(10_000_000), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.UnknownTopicRetries(1), kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	return nameOf(client.ProduceSync(context.Background(), record).FirstErr())
}

func consume(bootstrap, topic string, partition int32) string {
	offsets := map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(offsets),
		kgo.KeepRetryableFetchErrors(), kgo.UnknownTopicRetries(1))
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fetches := client.PollFetches(ctx)
	for _, failure := range fetches.Errors() {
		return nameOf(failure.Err)
	}
	return "success"
}

// fetchOnTheWire asks the partition's leader (or any broker) for an offset that cannot be there, as no client would by itself.
func fetchOnTheWire(bootstrap, topic string, partition int32) string {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	metadata, err := kadm.NewClient(client).Metadata(ctx, topic)
	if err != nil {
		return err.Error()
	}
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis = 100
	request.MaxBytes = 1 << 20
	of := kmsg.NewFetchRequestTopic()
	of.Topic = topic
	of.TopicID = metadata.Topics[topic].ID
	at := kmsg.NewFetchRequestTopicPartition()
	at.Partition = partition
	at.FetchOffset = 1_000_000
	at.PartitionMaxBytes = 1 << 20
	of.Partitions = append(of.Partitions, at)
	request.Topics = append(request.Topics, of)
	leader := metadata.Brokers[0].NodeID
	if detail, exists := metadata.Topics[topic].Partitions[partition]; exists {
		leader = detail.Leader
	}
	response, err := client.Broker(int(leader)).RetriableRequest(ctx, request)
	if err != nil {
		return err.Error()
	}
	return nameOf(kerr.ErrorForCode(response.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode))
}

func nameOf(err error) string {
	var known *kerr.Error
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &known):
		return known.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	default:
		return err.Error()
	}
}

func readRecord() (*kgo.Record, error) {
	var fixed [20]byte
	if _, err := io.ReadFull(in, fixed[:]); err != nil {
		return nil, err
	}
	record := &kgo.Record{Partition: int32(binary.BigEndian.Uint32(fixed[:4]))}
	if timestamp := int64(binary.BigEndian.Uint64(fixed[12:])); timestamp >= 0 {
		record.Timestamp = time.UnixMilli(timestamp)
	}
	record.Key = readBytes()
	record.Value = readBytes()
	for left := readInt32(); left > 0; left-- {
		name := string(readBytes())
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: readBytes()})
	}
	return record, nil
}

func writeRecord(record *kgo.Record) {
	writeInt32(record.Partition)
	writeInt64(record.Offset)
	writeInt64(record.Timestamp.UnixMilli())
	writeBytes(record.Key)
	writeBytes(record.Value)
	writeInt32(int32(len(record.Headers)))
	for _, header := range record.Headers {
		writeBytes([]byte(header.Key))
		writeBytes(header.Value)
	}
}

func readInt32() int32 {
	var bytes [4]byte
	if _, err := io.ReadFull(in, bytes[:]); err != nil {
		panic(err)
	}
	return int32(binary.BigEndian.Uint32(bytes[:]))
}

func readBytes() []byte {
	length := readInt32()
	if length < 0 {
		return nil
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(in, content); err != nil {
		panic(err)
	}
	return content
}

func writeInt32(value int32) {
	_, _ = out.Write(binary.BigEndian.AppendUint32(nil, uint32(value)))
}

func writeInt64(value int64) {
	_, _ = out.Write(binary.BigEndian.AppendUint64(nil, uint64(value)))
}

func writeBytes(content []byte) {
	if content == nil {
		writeInt32(-1)
		return
	}
	writeInt32(int32(len(content)))
	_, _ = out.Write(content)
}

func answer(name string, value any) {
	fmt.Fprintf(out, "%s=%v\n", name, value)
}
