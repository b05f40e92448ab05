package queue

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// DefaultSyncEvery is how often the queue is to be synced unless there is a reason for something else.
const DefaultSyncEvery = time.Second

// Options say where the queue is and how much it keeps. The zero value of every field but Dir means its default.
type Options struct {
	// Dir is the queue's folder, made if it does not exist.
	Dir string
	// MaxBytes is the most that the segments may hold on disk, 1 GiB by default, at least four segments. Past it the oldest
	// segment is dropped and its records counted. Dead letters and what is set aside have other limits.
	MaxBytes int64
	// MaxAge is how old a record may become, 7 days by default; older ones are dropped and counted.
	MaxAge time.Duration
	// SegmentBytes is when a new segment is begun, 8 MiB by default, an eighth of MaxBytes if that is less.
	SegmentBytes int64
	// SyncEvery is how long a record may wait for fsync. Zero: Append itself waits for it. See DefaultSyncEvery.
	SyncEvery time.Duration
	// FreshFor is how long a record belongs to the fresh lane, one minute by default. After a restart everything is backlog.
	FreshFor time.Duration

	// Logger is for changes of state; nil discards.
	Logger *slog.Logger
	// Registerer gets the queue's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer

	// Tests alone set what follows.

	// minFree is how many bytes of the disk are left alone: with less free, no records are accepted. 32 MiB; negative means none.
	minFree                 int64
	maxRecord               int // the longest record in bytes: 2 MiB
	batchBytes, batchPoints int // bound a batch: 1 MiB and 5,000 points; a single record may be larger
	// inFlightBytes bounds the memory of what a lane has handed out and not got back: 3 MiB (256 bytes a record included). At the
	// bound the lane waits.
	inFlightBytes int
	deadBytes     int64 // bounds the dead letters: 64 MiB; the oldest half is dropped and counted
	// now is the wall clock. It is used for people (dead letters, Health) and to carry the age of records over a reboot.
	now    func() time.Time
	uptime func() time.Duration
	boot   func() uint64
	disk   files
}

// Validate says what in the options cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Dir == "":
		return fmt.Errorf("no queue folder")
	case o.MaxBytes < 0 || o.MaxBytes != 0 && o.MaxBytes < 32<<10:
		return fmt.Errorf("queue size limit \"%d\" is under 32 KiB", o.MaxBytes)
	case o.MaxAge < 0:
		return fmt.Errorf("queue age limit %q is negative", o.MaxAge)
	case o.SyncEvery < 0:
		return fmt.Errorf("queue sync interval %q is negative", o.SyncEvery)
	case o.SegmentBytes != 0 && o.SegmentBytes < 4<<10, o.SegmentBytes > 1<<30:
		return fmt.Errorf("segment size \"%d\" must be between 4 KiB and 1 GiB", o.SegmentBytes)
	case o.MaxBytes != 0 && o.SegmentBytes > o.MaxBytes/4:
		return fmt.Errorf("segment size \"%d\" is over a quarter of the queue size limit \"%d\"", o.SegmentBytes, o.MaxBytes)
	case o.FreshFor < 0:
		return fmt.Errorf("queue freshness %q is negative", o.FreshFor)
	}
	return nil
}

// withDefaults returns the options with every default filled in.
func (o Options) withDefaults() Options {
	o.MaxBytes = or(o.MaxBytes, 1<<30)
	o.MaxAge = or(o.MaxAge, 7*24*time.Hour)
	o.SegmentBytes = or(o.SegmentBytes, min(8<<20, o.MaxBytes/8))
	o.minFree = or(o.minFree, 32<<20)
	o.maxRecord = min(or(o.maxRecord, 2<<20), int(o.MaxBytes/8))
	o.batchBytes = or(o.batchBytes, 1<<20)
	o.batchPoints = or(o.batchPoints, 5000)
	o.inFlightBytes = or(o.inFlightBytes, 3<<20)
	o.FreshFor = or(o.FreshFor, time.Minute)
	o.deadBytes = or(o.deadBytes, 64<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.uptime == nil {
		o.uptime = uptime
	}
	if o.boot == nil {
		o.boot = bootID
	}
	if o.disk == nil {
		o.disk = osDisk{}
	}
	return o
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// uptime is the time since the machine was started, suspension included.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
