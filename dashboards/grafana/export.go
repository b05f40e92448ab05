package grafana

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ExportOptions say where boards are written.
type ExportOptions struct {
	// Dir is the folder, made if it does not exist. Files of the same names are replaced, others left alone.
	Dir    string
	Source Source
	// SeenAt is the folder's dashboards/ as Grafana sees it, in a container for instance. Empty: where it is.
	SeenAt string
}

// Export writes the boards as Grafana provisions them:
//
//	DIR/dashboards/*.json                       the boards
//	DIR/provisioning/dashboards/plimsoll.yaml   tells Grafana where they are
//	DIR/provisioning/datasources/plimsoll.yaml  an example of the source, to be filled in
//
// It returns the files' paths. Each file is whole or not there; a datasource file that exists is left as it is, since addresses
// and tokens have been filled in.
func Export(o ExportOptions) ([]string, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot export boards: no folder")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot export boards to %q: %w", o.Dir, err)
	}
	if o.SeenAt == "" {
		o.SeenAt = filepath.Join(dir, "dashboards")
	}
	if !filepath.IsAbs(o.SeenAt) {
		return nil, fmt.Errorf("cannot export boards: Grafana's folder %q is not an absolute path", o.SeenAt)
	}
	var written []string
	put := func(name string, raw []byte) error {
		path := filepath.Join(dir, name)
		if err := write(path, raw); err != nil {
			return fmt.Errorf("cannot export boards to %q: %w", o.Dir, err)
		}
		written = append(written, path)
		return nil
	}
	for _, b := range Boards() {
		raw, err := b.JSON(o.Source)
		if err != nil {
			return nil, err
		}
		if err := put(filepath.Join("dashboards", b.UID(o.Source)+".json"), raw); err != nil {
			return nil, err
		}
	}
	if err := put(filepath.Join("provisioning", "dashboards", o.Source.tag()+".yaml"), provider(o.Source, o.SeenAt)); err != nil {
		return nil, err
	}
	example := filepath.Join("provisioning", "datasources", o.Source.tag()+".yaml")
	if _, err := os.Stat(filepath.Join(dir, example)); err == nil {
		return written, nil
	}
	return written, put(example, []byte(o.Source.of(promDatasource, influxDatasource)))
}

// write replaces a file at once.
func write(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".plimsoll-*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Chmod(0o644) // Grafana runs as another user
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// provider is the file that tells Grafana where the boards are.
func provider(s Source, path string) []byte {
	return []byte(`# Plimsoll's boards, written by 'plimsoll dashboards export'. Put this file into Grafana's provisioning/dashboards folder.
apiVersion: 1
providers:
  - name: ` + s.tag() + `
    orgId: 1
    folder: Plimsoll
    type: file
    disableDeletion: false
    updateIntervalSeconds: 30
    # The boards are code: change them there, and export again.
    allowUiUpdates: false
    options:
      path: ` + yamlString(path) + `
`)
}

// yamlString quotes a string for YAML. Grafana takes $NAME for a variable of its environment, and $$ for a dollar.
func yamlString(s string) string {
	return "'" + strings.NewReplacer("'", "''", "$", "$$").Replace(s) + "'"
}

// Examples of the sources for Grafana's provisioning/datasources folder.
const promDatasource = `# Plimsoll's history as a Prometheus source, written by 'plimsoll dashboards export'. Fill in the address, and put this file
# into Grafana's provisioning/datasources folder. The boards find any Prometheus source that has the series.
apiVersion: 1
datasources:
  - name: Plimsoll
    uid: plimsoll
    type: prometheus
    access: proxy
    url: http://127.0.0.1:8082
    jsonData:
      httpMethod: POST
      timeInterval: 10s
    # Where the server asks for a login (--web.config.file):
    # basicAuth: true
    # basicAuthUser: grafana
    # secureJsonData:
    #   basicAuthPassword: $PLIMSOLL_PASSWORD
`

const influxDatasource = `# The InfluxDB that Plimsoll writes to, written by 'plimsoll dashboards export'. Fill in the address and the database, and put
# this file into Grafana's provisioning/datasources folder. The boards ask in InfluxQL, which 1.8, 2.x and 3 answer.
apiVersion: 1
datasources:
  - name: Plimsoll InfluxDB
    uid: plimsoll-influx
    type: influxdb
    access: proxy
    url: http://127.0.0.1:8086
    jsonData:
      # 1.8: the database. 2.x: the bucket, whose name the DBRP mapping of 'plimsoll influx setup' gives to InfluxQL. 3: the database.
      dbName: plimsoll
      httpMode: POST
      timeInterval: 10s
      # 2.x and 3 want a token:
      # httpHeaderName1: Authorization
    # secureJsonData:
    #   httpHeaderValue1: Token $PLIMSOLL_INFLUX_TOKEN
    # 1.8 with users:
    # user: grafana
    # secureJsonData:
    #   password: $PLIMSOLL_INFLUX_PASSWORD
`
