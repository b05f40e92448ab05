// Package image makes a container image of one static binary without Docker: an archive that is an OCI image layout and a Docker archive at once.
package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// User is who an image's program runs as: a number, so that Kubernetes can tell that it is not root.
const User = 65534

// Options of an image.
type Options struct {
	Binary  string            // path of a static binary for Linux, which becomes the entry point, /NAME
	Name    string            // name and tag, such as plimsoll:1.0
	Dir     string            // absolute path of a folder in the image that User may write to, where the program starts; "" means none
	Labels  map[string]string // of the image
	Created time.Time         // told, and changes nothing else
	Also    map[string]string // other static binaries, by their absolute path in the image
}

// Write writes the archive and returns the digest of the image's manifest. The same options and the same binary give the same bytes.
func Write(w io.Writer, o Options) (digest string, err error) {
	binary, arch, err := static(o.Binary)
	if err != nil {
		return "", err
	}
	entry := path.Join("/", filepath.Base(o.Binary))
	files := map[string][]byte{entry: binary}
	for at, from := range o.Also {
		if files[path.Clean(at)], _, err = static(from); err != nil {
			return "", err
		}
	}
	plain, err := layer(files, o.Dir)
	if err != nil {
		return "", err
	}
	packed, err := compress(plain)
	if err != nil {
		return "", err
	}
	created := o.Created.UTC().Format(time.RFC3339)
	config, err := json.Marshal(object{"architecture": arch, "os": "linux", "created": created,
		"config":  object{"User": fmt.Sprintf("%d:%d", User, User), "Entrypoint": []string{entry}, "WorkingDir": cmp.Or(o.Dir, "/"), "Labels": o.Labels},
		"rootfs":  object{"type": "layers", "diff_ids": []string{sum(plain)}},
		"history": []object{{"created": created, "created_by": "COPY " + entry}}})
	if err != nil {
		return "", err
	}
	manifest, err := json.Marshal(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config), "layers": []object{descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)}})
	if err != nil {
		return "", err
	}
	return sum(manifest), archive(w, o.Name, arch, manifest, config, packed)
}

type object = map[string]any

// archive writes the layout: index.json for whoever reads OCI, manifest.json for whoever reads what "docker save" writes.
func archive(w io.Writer, name, arch string, manifest, config, packed []byte) error {
	whole, tag := qualified(name)
	d := descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
	d["platform"] = object{"architecture": arch, "os": "linux"}
	d["annotations"] = object{"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": tag}
	index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []object{d}})
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]object{{"Config": blob(config), "RepoTags": []string{name}, "Layers": []string{blob(packed)}}})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {"manifest.json", docker},
		{blob(manifest), manifest}, {blob(config), config}, {blob(packed), packed}} {
		if err := add(t, tar.Header{Name: f.name, Mode: 0o644}, f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// layer is the image's file system: programs by their path, and a folder.
func layer(files map[string][]byte, dir string) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	folders := strings.Split(strings.Trim(dir, "/"), "/")
	for i := range folders {
		h := tar.Header{Typeflag: tar.TypeDir, Name: strings.Join(folders[:i+1], "/") + "/", Mode: 0o755}
		if dir == "" {
			break
		}
		if i == len(folders)-1 {
			h.Uid, h.Gid = User, User
		}
		if err := add(t, h, nil); err != nil {
			return nil, err
		}
	}
	made := map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(files)) {
		for i, c := range at { // the folders above it
			if above := at[1:max(i, 1)]; c == '/' && above != "" && !made[above] {
				made[above] = true
				if err := add(t, tar.Header{Typeflag: tar.TypeDir, Name: above + "/", Mode: 0o755}, nil); err != nil {
					return nil, err
				}
			}
		}
		if err := add(t, tar.Header{Name: at[1:], Mode: 0o755}, files[at]); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return b.Bytes(), err
}

func add(t *tar.Writer, h tar.Header, data []byte) error {
	h.Size, h.ModTime, h.Format = int64(len(data)), time.Unix(0, 0), tar.FormatUSTAR
	if err := t.WriteHeader(&h); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func compress(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// static reads a binary that needs nothing of an image, and says for which processors it is.
func static(path string) (data []byte, arch string, err error) {
	if data, err = os.ReadFile(path); err != nil {
		return nil, "", err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, "", fmt.Errorf("cannot make an image of %q: not a binary for Linux: %w", path, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, "", fmt.Errorf("cannot make an image of %q: it needs libraries; build it with CGO_ENABLED=0", path)
		}
	}
	if arch = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]; arch == "" {
		return nil, "", fmt.Errorf("cannot make an image of %q: it is for %s; want amd64 or arm64", path, f.Machine)
	}
	return data, arch, nil
}

// qualified is a name as registries know it, and its tag.
func qualified(name string) (whole, tag string) {
	_, tag, _ = strings.Cut(path.Base(name), ":")
	host, _, found := strings.Cut(name, "/")
	switch {
	case !found:
		name = "docker.io/library/" + name
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		name = "docker.io/" + name
	}
	return name, tag
}

func descriptor(media string, data []byte) object {
	return object{"mediaType": media, "digest": sum(data), "size": len(data)}
}

func blob(data []byte) string { return "blobs/" + strings.Replace(sum(data), ":", "/", 1) }
func sum(data []byte) string  { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
