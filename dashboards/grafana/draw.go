package grafana

import (
	"cmp"

	"github.com/grafana-tools/sdk"
)

// draw lays a board out.
func draw(b Board, s Source) *layer {
	l := &layer{panels: map[uint]object{}}
	l.board = sdk.Board{UID: b.UID(s), Title: s.title(b.Title), Tags: []string{"plimsoll", s.tag()}, Timezone: "browser", Editable: true,
		GraphTooltip: 1, Refresh: &sdk.BoolString{Value: "10s"}, SchemaVersion: schemaVersion, Time: sdk.Time{From: "now-1h", To: "now"},
		Timepicker: sdk.Timepicker{RefreshIntervals: []string{"10s", "30s", "1m", "5m", "15m", "1h"}}}
	l.board.Links = []sdk.Link{{Title: "Plimsoll", Type: "dashboards", Tags: []string{s.tag()}, IncludeVars: true, KeepTime: new(true), AsDropdown: new(false)}}
	l.extra = object{"description": b.About, "templating": object{"list": variables(b, s)}, "annotations": object{"list": annotations(b, s)}}
	y := 0
	for _, r := range b.Rows {
		y = l.row(b, s, r, y)
	}
	return l
}

// row adds a row's heading and panels from y downwards, and returns where the next row begins.
func (l *layer) row(b Board, s Source, r Row, y int) int {
	head := &sdk.Panel{CommonPanel: sdk.CommonPanel{OfType: sdk.RowType, Type: "row", ID: l.next(), Title: r.Title}, RowPanel: &sdk.RowPanel{Collapsed: r.Folded, Panels: []sdk.Panel{}}}
	place(&head.CommonPanel, 0, y, 24, 1)
	l.board.Panels = append(l.board.Panels, head)
	height := cmp.Or(r.Height, 8)
	x := 0
	for i, w := range widths(r.Panels) {
		id := l.next()
		p, extra := panel(b, s, r.Panels[i])
		p.ID, l.panels[id] = id, extra
		place(&p.CommonPanel, x, y+1, w, height)
		if r.Folded {
			head.RowPanel.Panels = append(head.RowPanel.Panels, *p)
		} else {
			l.board.Panels = append(l.board.Panels, p)
		}
		x += w
	}
	if r.Folded {
		return y + 1
	}
	return y + 1 + height
}

// next is the next panel's ID, counted from 1.
func (l *layer) next() uint {
	id := uint(len(l.panels)) + 1
	l.panels[id] = nil
	return id
}

func place(p *sdk.CommonPanel, x, y, w, h int) {
	p.GridPos.X, p.GridPos.Y, p.GridPos.W, p.GridPos.H = &x, &y, &w, &h
}

// widths shares a row's 24 columns: panels without a width get even shares of what the others leave.
func widths(ps []Panel) []int {
	left, open := 24, 0
	for _, p := range ps {
		left -= p.Width
		if p.Width == 0 {
			open++
		}
	}
	out := make([]int, len(ps))
	for i, p := range ps {
		out[i] = p.Width
		if p.Width == 0 {
			out[i] = left / open
			left -= out[i]
			open--
		}
	}
	return out
}
