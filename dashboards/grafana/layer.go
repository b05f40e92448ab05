package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana-tools/sdk"
)

// object is a piece of a board's JSON for which the SDK has no type.
type object map[string]any

// schemaVersion is that of Grafana 11, the newest of the classic form, which 11 to 13 read.
const schemaVersion = 39

// layer is what goes over the SDK's JSON: its board, and what its types lack.
type layer struct {
	board  sdk.Board
	extra  object          // of the board
	panels map[uint]object // of panels, by ID; "targets" holds one object for each target
}

// JSON writes the board for a source, for Grafana 11 and later. The same board is always the same bytes.
func (b Board) JSON(s Source) ([]byte, error) {
	if _, err := ParseSource(string(s)); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	o, err := draw(b, s).object()
	if err == nil {
		err = e.Encode(o)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write board %q: %w", b.Name, err)
	}
	return out.Bytes(), nil
}

// object turns the SDK's board into plain JSON, takes out what nobody reads, and puts in what it lacks.
func (l *layer) object() (object, error) {
	raw, err := json.Marshal(l.board)
	if err != nil {
		return nil, err
	}
	var all object
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	all = keep(all, "annotations", "description", "editable", "graphTooltip", "links", "panels", "refresh", "schemaVersion", "tags",
		"templating", "time", "timepicker", "timezone", "title", "uid")
	all["panels"] = l.put(all["panels"])
	merge(all, l.extra)
	return all, nil
}

// put does a list of panels, and those inside a folded row.
func (l *layer) put(panels any) []any {
	list, _ := panels.([]any)
	out := make([]any, 0, len(list))
	for _, p := range list {
		m, _ := p.(map[string]any)
		panel := keep(m, "collapsed", "datasource", "description", "fieldConfig", "gridPos", "id", "interval", "options", "panels", "targets",
			"title", "transformations", "type")
		if panel["type"] == "row" {
			panel["panels"] = l.put(panel["panels"])
		}
		id, _ := panel["id"].(float64)
		merge(panel, l.panels[uint(id)])
		out = append(out, panel)
	}
	return out
}

// keep leaves out all but some keys: the SDK writes what Grafana read in 2016 too.
func keep(o object, keys ...string) object {
	out := object{}
	for _, k := range keys {
		if v, ok := o[k]; ok && v != nil {
			out[k] = v
		}
	}
	return out
}

// merge puts more into o: lists of objects of one length item by item, anything else in place of what was there.
func merge(o, more object) {
	for k, v := range more {
		items, isList := v.([]object)
		list, _ := o[k].([]any)
		if !isList || len(list) != len(items) {
			o[k] = v
			continue
		}
		for i := range items {
			if inner, ok := list[i].(map[string]any); ok {
				merge(inner, items[i])
			}
		}
	}
}
