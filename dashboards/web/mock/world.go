package main

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"time"
)

// box is a made-up container: what it uses on average, and what it may use.
type box struct {
	ns, kind, workload, pod, name, title, runtime, image string
	cpu, cpuLimit, mem, memLimit                         float64 // cores and MiB; a limit of 0 is none
	net, disk                                            float64 // kB/s
}

// world is the made-up machine.
type world struct {
	scene string
	since time.Time
	boxes []box
}

func newWorld(scene string, now time.Time) (*world, error) {
	w := &world{scene: scene, since: now.Add(-3 * time.Hour), boxes: boxes()}
	switch scene {
	case "full", "ill":
	case "cluster":
		long := strings.Repeat("a-name-as-long-as-a-generator-of-names-makes-it-", 4) + "7d4b9c6f5b-x2x9z"
		w.boxes = ofCluster(append(w.boxes, box{"shop", "Deployment", "long", long, long, long, "containerd", "shop/long:1", .6, 1, 4000, 0, 900, 4000}, // it has most of all
			box{"shop", "Deployment", "broken", "broken-1", "broken", "shop/broken-1", "", "registry.example.com/nosuch:9", 0, 0, 0, 0, 0, 0}))
	case "part":
		w.boxes = ofCluster(w.boxes)
	case "many":
		for i := range 900 {
			n := fmt.Sprintf("bench/c%04d", i)
			w.boxes = append(w.boxes, box{"cgroup", "Cgroup", "bench", n, n, "/" + n, "cgroup", "", .001 * hash(n), 0, 9 * hash(n), 0, 0, 0})
		}
		w.boxes[len(w.boxes)-1].mem = 3000 // the largest hurts nobody
	case "first":
		w.since = now.Add(-12 * time.Second)
	case "empty":
		w.since = now.Add(-20 * time.Second)
		w.boxes = nil
	default:
		return nil, fmt.Errorf("unknown scene %q: full, first, empty, ill, many, cluster or part", scene)
	}
	return w, nil
}

func boxes() []box {
	docker := func(name, image string, cpu, cpuLimit, mem, memLimit, net, disk float64) box {
		return box{"docker", "Docker", name, name, name, name, "docker", image, cpu, cpuLimit, mem, memLimit, net, disk}
	}
	unit := func(name string, cpu, mem, disk float64) box {
		n := name + ".service"
		return box{"system", "Unit", n, n, n, n, "systemd", "", cpu, 0, mem, 0, 0, disk}
	}
	shop := func(svc, image string, i int, cpu, mem float64) box {
		t := fmt.Sprintf("%s-%d", svc, i)
		return box{"shop", "Compose", svc, "shop-" + t, svc, "shop/" + t, "docker", image, cpu, .5, mem, 512, 60, 5}
	}
	return []box{
		docker("postgres", "postgres:16", .34, 1, 1212, 2048, 120, 2400),
		docker("nginx", "nginx:1.29", .11, 0, 38, 256, 310, 20),
		docker("redis", "redis:8", .06, .5, 121, 128, 90, 60),
		docker("a-container-with-quite-a-long-name-that-someone-chose", "registry.example.com/team/project/app@sha256:0123456789", .02, 0, 88, 0, 3, 0),
		shop("checkout", "shop/checkout:4", 1, .12, 210), shop("checkout", "shop/checkout:4", 2, .11, 204), shop("checkout", "shop/checkout:4", 3, .13, 214),
		shop("search", "shop/search:7", 1, .21, 388),
		{"batch", "ProcessService", "resize", "resize-1", "resize", "batch/resize-1", "process", "", .21, .5, 64, 128, 4, 900},
		{"batch", "ProcessService", "resize", "resize-2", "resize", "batch/resize-2", "process", "", .19, .5, 61, 128, 4, 700},
		unit("ssh", .002, 14, 0), unit("cron", 0, 3, 0), unit("systemd-journald", .01, 42, 80), unit("systemd-udevd", 0, 8, 0),
		unit("dbus", .001, 5, 0), unit("docker", .03, 160, 12), unit("containerd", .02, 74, 4), unit("systemd-logind", 0, 6, 0),
		unit("unattended-upgrades", 0, 22, 0), unit(`system-getty\x2dtty1`, 0, 2, 0),
		{"batch", "ProcessService", "mail", "mail-1", "mail", "batch/mail-1", "process", "", .01, 0, 18, 64, 1, 0},
		{"plimsoll", "Process", "plimsoll", "plimsoll", "plimsoll", "plimsoll", "self", "", .04, 0, 96, 0, 6, 40},
	}
}

func hash(s string) float64 {
	h := fnv.New32a()
	h.Write([]byte(s))
	x := h.Sum32()
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	return float64(x) / math.MaxUint32
}

// noise is between -1 and 1, the same for the same key and time, smooth over so many seconds.
func noise(key string, t, smooth float64) float64 {
	i := math.Floor(t / smooth)
	f := t/smooth - i
	a, b := hash(fmt.Sprint(key, i)), hash(fmt.Sprint(key, i+1))
	return 2*(a+(b-a)*f) - 1
}

// wiggle is a value that lives around a mean.
func wiggle(key string, mean, t float64) float64 {
	v := mean * (1 + .22*math.Sin(t/140+6*hash(key)) + .12*noise(key, t, 7) + .1*noise(key+"fast", t, 1))
	return math.Max(0, v)
}

// period is how long the story of demo/web takes, in seconds.
const period = 600

// act is a change of demo/web's replicas in the story.
type act struct {
	at       float64
	from, to int
	load     float64
	say      string
}

func acts() []act {
	return []act{
		{153, 2, 4, 1.31, "Load stood at 131 % of request for 3 s, clear of its noise (±6 %); 4 replicas bring it to 66 %."},
		{165, 4, 6, 1.04, "Load stood at 104 % of request for 3 s, clear of its noise (±6 %); 6 replicas bring it to 70 %."},
		{420, 6, 4, .45, "Load fell to 45 % of request; 4 replicas carry it at 68 %. The highest need in the last 5 min was 4."},
		{540, 4, 2, .34, "Load fell to 34 % of request; 2 replicas carry it at 68 %. The highest need in the last 5 min was 2."},
	}
}

func replicas(t float64) int {
	p, n := math.Mod(t, period), 2
	for _, a := range acts() {
		if p >= a.at {
			n = a.to
		}
	}
	return n
}

// ready follows replicas three seconds later on the way up.
func ready(t float64) int { return min(replicas(t), max(replicas(t-3), 2)) }

// demand is the whole load of demo/web, in requests' worth of replicas.
func demand(t float64) float64 {
	p := math.Mod(t, period)
	d := 1.2
	switch {
	case p >= 150 && p < 162:
		d = 2.6
	case p >= 162 && p < 360:
		d = 4.16
	case p >= 360 && p < 500:
		d = 2.7 - (p-360)/140*.9
	}
	return d * (1 + .04*noise("web", t, 1) + .05*math.Sin(t/31))
}

// load is demo/web's load per replica, as a share of its request of 250m.
func load(t float64) float64 { return demand(t) / float64(max(1, ready(t))) }

// broken says whether the reader of batch/resize is refused just then: the last five of every fifteen minutes.
func broken(t float64) bool { return math.Mod(t, 900) >= 600 }

// all gives the containers that there are at a time.
func (w *world) all(t float64) []box {
	if w.boxes == nil {
		return nil
	}
	out := append([]box(nil), w.boxes...)
	for i := 1; i <= replicas(t); i++ {
		n := fmt.Sprintf("web-%d", i)
		out = append(out, box{"demo", "ProcessService", "web", n, "web", "demo/" + n, "process", "", load(t) * .2, .25, 44, 64, 40, 2})
	}
	if w.scene == "cluster" || w.scene == "part" {
		return ofCluster(out)
	}
	return out
}

// use gives a container's CPU; nothing while its reader is refused.
func (b box) use(t float64) *float64 {
	if b.title == "batch/resize-1" && broken(t) {
		return nil
	}
	v := wiggle(b.title, b.cpu, t)
	if b.workload == "web" {
		v = b.cpu * (1 + .05*noise(b.title, t, 1))
	}
	if b.cpuLimit > 0 {
		v = min(v, b.cpuLimit)
	}
	return &v
}

func (b box) throttled(t float64) float64 {
	if b.cpuLimit == 0 {
		return 0
	}
	v := *b.orZero(t) / b.cpuLimit
	return max(0, v-.8) * 1.4
}

func (b box) orZero(t float64) *float64 {
	if v := b.use(t); v != nil {
		return v
	}
	return new(float64)
}

func (b box) pressure(t float64) float64 {
	return b.throttled(t)*.7 + *b.orZero(t)*.03
}

func (b box) memory(t float64) float64 {
	m := b.mem * (1 + .015*noise(b.title+"m", t, 45) + .06*math.Mod(t, 1700)/1700)
	if b.memLimit > 0 {
		m = min(m, b.memLimit*.99)
	}
	return m * (1 << 20)
}
