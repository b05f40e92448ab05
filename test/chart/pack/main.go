// Command pack packs the Helm chart with Grafana's boards, as a release has it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"helm.sh/helm/v4/pkg/chart/v2/util"

	"plimsoll.dev/plimsoll/test/chart"
)

func main() {
	dir := flag.String("chart", "../../charts/plimsoll", "folder of the chart")
	boards := flag.String("boards", "", "folder with the boards' JSON, as 'plimsoll dashboards export' writes it")
	app := flag.String("app-version", "", "tag of the image; the chart's own if empty")
	out := flag.String("out", "bin", "folder to write to")
	flag.Parse()
	path, err := pack(*dir, *boards, *app, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func pack(dir, boards, app, out string) (string, error) {
	files, err := chart.ReadBoards(boards)
	if err != nil {
		return "", err
	}
	c, err := chart.Source{Dir: dir, Boards: files}.Load()
	if err != nil {
		return "", err
	}
	if app != "" {
		c.Metadata.AppVersion = app
	}
	return util.Save(c, filepath.Clean(out))
}
