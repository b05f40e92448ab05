// Command imagetar writes Plimsoll's container image as an archive, without Docker.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"plimsoll.dev/plimsoll/internal/image"
)

func main() {
	var o image.Options
	flag.StringVar(&o.Binary, "binary", "bin/plimsoll", "the static binary")
	flag.StringVar(&o.Name, "name", "plimsoll:latest", "name and tag of the image")
	out := flag.String("out", "bin/plimsoll-image.tar", "where to write it")
	version := flag.String("version", "unknown", "label")
	revision := flag.String("revision", "unknown", "label")
	created := flag.Int64("created", 0, "when it was made, in seconds of Unix; the commit's time makes builds the same")
	flag.Parse()
	o.Dir, o.Labels, o.Created = image.Dir, image.Labels(*version, *revision), time.Unix(*created, 0)
	digest, err := write(*out, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "imagetar:", err)
		os.Exit(1)
	}
	fmt.Printf("%s  %s  %s\nload it: docker load -i %[3]s, podman load -i %[3]s, or ctr -n k8s.io images import %[3]s\n", o.Name, digest, *out)
}

// write leaves no half of a file in the place of a whole one.
func write(path string, o image.Options) (digest string, err error) {
	f, err := os.Create(path + ".new")
	if err != nil {
		return "", err
	}
	defer os.Remove(path + ".new")
	w := bufio.NewWriter(f)
	digest, err = image.Write(w, o)
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return "", err
	}
	return digest, os.Rename(path+".new", path)
}
