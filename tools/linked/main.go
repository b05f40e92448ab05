// Command linked tells what others wrote of what ships: the modules of the binary, the packages of the page and Go's own library, with the
// licence of each. It checks the licences against a list of those that we can keep, writes NOTICE, and writes a bill of materials.
package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "linked:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("linked", flag.ContinueOnError)
	root := fs.String("root", "..", "the module's folder")
	page := fs.String("page", "dashboards/web", "the page's folder, in it")
	program := fs.String("package", "./cmd/plimsoll", "what is built")
	binary := fs.String("sbom", "", "write the bill of materials of this binary, as CycloneDX JSON, to standard output")
	version := fs.String("version", "unknown", "the binary's version, for its bill")
	check := fs.Bool("check", false, "do not write NOTICE, say whether it is as it should be")
	if err := fs.Parse(args); err != nil {
		return err
	}
	arch, info := "amd64", &buildinfo.BuildInfo{}
	if *binary != "" {
		var err error
		if info, err = buildinfo.ReadFile(*binary); err != nil {
			return err
		}
		for _, s := range info.Settings {
			if s.Key == "GOARCH" {
				arch = s.Value
			}
		}
	}
	parts, err := find(ctx, *root, *program, *page, arch)
	if err != nil {
		return err
	}
	if err := allowed(parts); err != nil {
		return err
	}
	if *binary != "" {
		return bill(out, *binary, *version, info, parts)
	}
	text, file := notice(parts), *root+"/NOTICE"
	if !*check {
		return os.WriteFile(file, text, 0o644)
	}
	is, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(is, text) {
		return fmt.Errorf("%q is not what is linked: run 'make update' and commit", file)
	}
	fmt.Fprintf(out, "%d modules and packages of others, each under a licence that we can keep\n", len(parts))
	return nil
}
