// The load of the crash test, by franz-go's idempotent producer, and its reader. It tells what was acknowledged and what is in the
// log, and judges nothing.
//
//	hammer produce BOOTSTRAP TOPIC PARTITIONS PRODUCERS RECORDS_PER_SECOND   until standard input ends, then flushes
//	hammer read BOOTSTRAP TOPIC OFFSET,OFFSET,...                            from an offset for each partition to the end
//
// It prints frames, big-endian:
//
//	ack    = producer u32, partition u32, sequence u64, offset u64
//	record = partition u32, offset u64, length u32, value
//
// A value is producer u32, sequence u64 and a filler that follows from producer, partition and sequence: checker.rs makes the same.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// Records leave in bursts, this often.
	burstEvery = 5 * time.Millisecond
	// A broker that was killed is asked again soon; the default waits seconds.
	retryAfter = 20 * time.Millisecond
	// Produce blocks beyond it, so that a broker that is down stops the load.
	bufferedRecordsMax = 4000
	silenceMax         = 60 * time.Second
)

func main() {
	var err error
	switch os.Args[1] {
	case "produce":
		err = produce(os.Args[2], os.Args[3], number(os.Args[4]), number(os.Args[5]), number(os.Args[6]))
	case "read":
		err = read(os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type ack struct {
	producer, partition uint32
	sequence, offset    uint64
}

func produce(bootstrap, topic string, partitions, producers, perSecond int) error {
	acks := make(chan ack, bufferedRecordsMax)
	failures := make(chan error, producers)
	ctx, stop := context.WithCancel(context.Background())
	for producer := range producers {
		go func() {
			failures <- produceAs(ctx, uint32(producer), bootstrap, topic, partitions, perSecond/producers, acks)
		}()
	}
	printed := make(chan error)
	go func() { printed <- printAcks(acks) }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	for range producers {
		if err := <-failures; err != nil {
			return err
		}
	}
	close(acks)
	return <-printed
}

func produceAs(ctx context.Context, producer uint32, bootstrap, topic string, partitions, perSecond int, acks chan<- ack) error {
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression()}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codecs[int(producer)%len(codecs)]),
		// Five requests are in flight, as always with this client's idempotence: the broker must tell the repeated batches among
		// them from new ones across a crash.
		kgo.ProducerLinger(2*time.Millisecond),
		kgo.MaxBufferedRecords(bufferedRecordsMax), kgo.ProducerBatchMaxBytes(64<<10),
		kgo.RetryBackoffFn(func(int) time.Duration { return retryAfter }), kgo.MetadataMinAge(retryAfter),
		kgo.UnknownTopicRetries(-1), kgo.DialTimeout(time.Second),
		// A broker that forgot the producer's sequence numbers is a failure of the test, not something to carry on from.
		kgo.StopProducerOnDataLossDetected())
	if err != nil {
		return err
	}
	defer client.Close()
	failed := make(chan error, 1)
	next := make([]uint64, partitions)
	ticker := time.NewTicker(burstEvery)
	defer ticker.Stop()
	burst := max(1, perSecond*int(burstEvery/time.Millisecond)/1000)
	turn := int(producer)
	for ctx.Err() == nil {
		for range burst {
			partition := uint32(turn % partitions)
			turn++
			sequence := next[partition]
			next[partition]++
			record := &kgo.Record{Partition: int32(partition), Value: value(producer, partition, sequence)}
			client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- fmt.Errorf("producer %d, partition %d, sequence %d: %w", producer, partition, sequence, err):
					default:
					}
					return
				}
				acks <- ack{producer, partition, sequence, uint64(record.Offset)}
			})
		}
		select {
		case err := <-failed:
			return err
		case <-ticker.C:
		}
	}
	if err := client.Flush(context.Background()); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// printAcks flushes whenever it has caught up: an ack that waits in a buffer is one the test does not know of.
func printAcks(acks <-chan ack) error {
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	for ack := range acks {
		frame := binary.BigEndian.AppendUint32(nil, ack.producer)
		frame = binary.BigEndian.AppendUint32(frame, ack.partition)
		frame = binary.BigEndian.AppendUint64(frame, ack.sequence)
		frame = binary.BigEndian.AppendUint64(frame, ack.offset)
		if _, err := out.Write(frame); err != nil {
			return err
		}
		if len(acks) == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func read(bootstrap, topic, from string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	listing, cancel := context.WithTimeout(context.Background(), silenceMax)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(listing, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	open := map[int32]int64{}
	starts := map[int32]kgo.Offset{}
	for partition, text := range strings.Split(from, ",") {
		start := int64(number(text))
		end, exists := ends.Lookup(topic, int32(partition))
		if !exists {
			return fmt.Errorf("no partition %d", partition)
		}
		if end.Offset > start {
			open[int32(partition)] = end.Offset
			starts[int32(partition)] = kgo.NewOffset().At(start)
		}
	}
	out := bufio.NewWriterSize(os.Stdout, 256<<10)
	if len(open) == 0 {
		return nil
	}
	client, err = kgo.NewClient(kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		// An offset that is not there must fail, not be replaced by another one.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err != nil {
		return err
	}
	defer client.Close()
	for len(open) > 0 {
		waiting, cancel := context.WithTimeout(context.Background(), silenceMax)
		fetches := client.PollFetches(waiting)
		cancel()
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			end, wanted := open[record.Partition]
			if !wanted {
				return
			}
			frame := binary.BigEndian.AppendUint32(nil, uint32(record.Partition))
			frame = binary.BigEndian.AppendUint64(frame, uint64(record.Offset))
			frame = binary.BigEndian.AppendUint32(frame, uint32(len(record.Value)))
			_, _ = out.Write(frame)
			_, _ = out.Write(record.Value)
			if record.Offset+1 >= end {
				delete(open, record.Partition)
			}
		})
	}
	return out.Flush()
}

func value(producer, partition uint32, sequence uint64) []byte {
	seed := mix(uint64(producer)<<32|uint64(partition)) ^ sequence
	length := int(mix(seed) % 1000)
	value := binary.BigEndian.AppendUint32(nil, producer)
	value = binary.BigEndian.AppendUint64(value, sequence)
	for word := uint64(1); len(value) < 12+length; word++ {
		value = binary.BigEndian.AppendUint64(value, mix(seed+word))
	}
	return value[:12+length]
}

// mix is the finaliser of splitmix64.
func mix(value uint64) uint64 {
	z := value + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}
