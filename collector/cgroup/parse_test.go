package cgroup

import (
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/collector/host"
)

// memoryStatV1 is what Linux 6.18 writes for a busy cgroup.
const memoryStatV1 = `cache 129662976
rss 1064960
rss_huge 0
shmem 0
mapped_file 0
dirty 28672
writeback 0
workingset_refault_anon 0
workingset_refault_file 39789
swap 0
swapcached 0
pgpgin 196319
pgpgout 166523
pgfault 186968
pgmajfault 93
inactive_anon 1056768
active_anon 8192
inactive_file 74706944
active_file 54956032
unevictable 0
hierarchical_memory_limit 9223372036854771712
hierarchical_memsw_limit 9223372036854771712
total_cache 129662976
total_rss 1064960
total_rss_huge 0
total_shmem 0
total_mapped_file 0
total_dirty 28672
total_writeback 0
total_workingset_refault_anon 0
total_workingset_refault_file 39789
total_swap 0
total_swapcached 0
total_pgpgin 196319
total_pgpgout 166523
total_pgfault 186968
total_pgmajfault 93
total_inactive_anon 1056768
total_active_anon 8192
total_inactive_file 74706945
total_active_file 54956032
total_unevictable 0
`

const cpuStatV2 = `usage_usec 5130419
user_usec 5000000
system_usec 130419
nr_periods 12
nr_throttled 11
throttled_usec 853000
nr_bursts 0
burst_usec 0
`

func TestParseUint(t *testing.T) {
	f := func(in string, want uint64, why reason) {
		t.Helper()
		got, r := parseUint([]byte(in))
		if got != want || r != why {
			t.Errorf("%q: got %d %q, want %d %q", in, got, r, want, why)
		}
	}
	f("0\n", 0, fine)
	f("123", 123, fine)
	f("4611686018427387899\n", 4611686018427387899, fine)
	f("", 0, parse)
	f("\n", 0, parse)
	f("max\n", 0, parse)
	f("12 34\n", 0, parse)
	f("12\n\n", 0, parse)
	f("0x12\n", 0, parse)
	f("-1\n", 0, overflow)
	f("18446744073709551615\n", 0, overflow)
	f("18446744073709551616\n", 0, overflow)
	f(strings.Repeat("9", 300), 0, overflow)
}

func TestField(t *testing.T) {
	f := func(in, key string, want uint64, found bool, why reason) {
		t.Helper()
		got, ok, r := field([]byte(in), key)
		if got != want || ok != found || r != why {
			t.Errorf("%q in %q: got %d %v %q, want %d %v %q", key, in, got, ok, r, want, found, why)
		}
	}
	f(memoryStatV1, "\ncache ", 129662976, true, fine)
	f(memoryStatV1, "\ninactive_file ", 74706944, true, fine)
	f(memoryStatV1, "\ntotal_inactive_file ", 74706945, true, fine)
	f(memoryStatV1, "\nno_such ", 0, false, fine)
	f(cpuStatV2, "\nusage_usec ", 5130419, true, fine)
	f("a 1", "\na ", 0, true, parse) // cut off
	f("a x\n", "\na ", 0, true, parse)
	f("a 1x\n", "\na ", 0, true, parse)
	f("a -5\n", "\na ", 0, true, overflow)
	f("", "\na ", 0, false, fine)
}

func TestParseThrottling(t *testing.T) {
	f := func(in, key string, want throttling, found bool, why reason) {
		t.Helper()
		got, ok, r := parseThrottling([]byte(in), key)
		if got != want || ok != found || r != why {
			t.Errorf("%q: got %+v %v %q, want %+v %v %q", in, got, ok, r, want, found, why)
		}
	}
	f(cpuStatV2, "\nthrottled_usec ", throttling{12, 11, 853000}, true, fine)
	f("nr_periods 3\nnr_throttled 2\nthrottled_time 5\n", "\nthrottled_time ", throttling{3, 2, 5}, true, fine)
	f("usage_usec 1\nuser_usec 1\nsystem_usec 0\n", "\nthrottled_usec ", throttling{}, false, fine)
	f("nr_periods 3\nnr_throttled 2\n", "\nthrottled_time ", throttling{3, 2, 0}, true, parse)
	f("nr_periods -3\nnr_throttled 2\n", "\nthrottled_time ", throttling{}, true, overflow)
}

func TestParseProcStat(t *testing.T) {
	f := func(in string, ticks, boot uint64, why reason) {
		t.Helper()
		got, b, r := parseProcStat([]byte(in))
		if got != ticks || b != boot || r != why {
			t.Errorf("%q: got %d %d %q, want %d %d %q", in, got, b, r, ticks, boot, why)
		}
	}
	f("cpu  1 20 300 9999 8888 4000 50000 600000 7 8\ncpu0 1\nbtime 1700000000\n", 654321, 1700000000, fine)
	f("cpu  1 20 300 9999 8888\ncpu0 1\n", 321, 0, fine)
	f("cpu  1 20 300\n", 0, 0, parse)
	f("cpu0 1 20 300 9999\n", 0, 0, parse)
	f("cpu  1 20 x 9999\n", 0, 0, parse)
	f("cpu  1 20 -3 9999 1\n", 0, 0, overflow)
	f("cpu  1 20 300 4", 0, 0, parse)
	f("", 0, 0, parse)
}

func TestParseMeminfo(t *testing.T) {
	f := func(in string, want memory, why reason) {
		t.Helper()
		got, r := parseMeminfo([]byte(in))
		if got != want || r != why {
			t.Errorf("%q: got %+v %q, want %+v %q", in, got, r, want, why)
		}
	}
	f("MemTotal:  100 kB\nMemFree:   40 kB\nInactive(file):  10 kB\n", memory{60 << 10, 50 << 10}, fine)
	f("MemTotal:  100 kB\nMemFree:   40 kB\nInactive(file):  90 kB\n", memory{60 << 10, 0}, fine)
	f("MemTotal:  100 kB\nMemFree:   140 kB\nInactive(file):  90 kB\n", memory{}, parse)
	f("MemTotal:  100 kB\nMemFree:   40 MB\nInactive(file):  90 kB\n", memory{}, parse)
	f("MemTotal:  100 kB\nMemFree:   40 kB\n", memory{}, parse)
	f("MemTotal:  18446744073709551 kB\n", memory{}, overflow)
	f("", memory{}, parse)
}

func TestParsePressure(t *testing.T) {
	f := func(in string, want pressure, why reason) {
		t.Helper()
		got, r := parsePressure([]byte(in))
		if got != want || r != why {
			t.Errorf("%q: got %+v %q, want %+v %q", in, got, r, want, why)
		}
	}
	f("some avg10=2.17 avg60=1.01 avg300=3.90 total=68089056\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", pressure{68089056, 7, true}, fine)
	f("some avg10=2.17 avg60=1.01 avg300=3.90 total=68089056\n", pressure{some: 68089056}, fine)
	f("some avg10=2.17\n", pressure{}, parse)
	f("full avg10=2.17 total=1\n", pressure{}, parse)
	f("some avg10=2.17 total=x\n", pressure{}, parse)
	f("", pressure{}, parse)
}

// FuzzParse gives every parser of kernel text the same bytes: none may panic, and no value may be impossible.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0\n", "max\n", memoryStatV1, cpuStatV2, "cpu  1 20 300 9999 8888 4000 50000 600000 7 8\nbtime 1\n",
		"MemTotal:  100 kB\nMemFree:   40 kB\nInactive(file):  10 kB\n", "some avg10=2.17 total=68\nfull avg10=0.00 total=7\n", "18446744073709551615\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(what string, why reason, v ...uint64) {
			if why != fine {
				return
			}
			for _, x := range v {
				if x >= maxValue*2 {
					t.Errorf("%s: got %d", what, x)
				}
			}
		}
		v, why := parseUint(b)
		check("uint", why, v)
		v, _, why = field(b, "\ntotal_inactive_file ")
		check("field", why, v)
		x, _, why := parseThrottling(b, "\nthrottled_usec ")
		check("throttling", why, x.periods, x.throttled, x.time)
		v, _, why = parseProcStat(b)
		check("stat", why, v)
		m, why := parseMeminfo(b)
		check("meminfo", why, m.usage, m.workingSet)
		if m.workingSet > m.usage {
			t.Errorf("meminfo: working set %d is more than usage %d", m.workingSet, m.usage)
		}
		p, why := parsePressure(b)
		check("pressure", why, p.some, p.full)
	})
}

// FuzzEntries reads the kernel's binary structures and mountinfo.
func FuzzEntries(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00@\x00\x00\x00\x00\x10\x00\x00\x00a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x18\x00\x04a\x00\x00\x00\x00"))
	f.Add([]byte(mountinfoHybrid))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &watcher{dirs: map[int32]*dir{1: {}}}
		w.decode(b, func(_ *dir, name string) {
			if name == "" || strings.Contains(name, "\x00") {
				t.Errorf("event with the name %q", name)
			}
		})
		for rest := b; len(rest) > 0; {
			before := len(rest)
			if _, _, rest = dirent(rest); len(rest) >= before {
				t.Fatal("no progress")
			}
		}
		for _, m := range below(host.ParseMounts(b), "/sys/fs/cgroup") {
			if !strings.HasPrefix(m.dir, "/sys/fs/cgroup") {
				t.Errorf("mount %q is elsewhere", m.dir)
			}
		}
	})
}
