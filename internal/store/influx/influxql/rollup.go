package influxql

// sources returns what is read for (lo, hi] when no group is shorter than grain milliseconds: the coarsest roll-up that will
// do as far as it reaches, and finer ones or the raw points before and after it. With a grid, the parts end on multiples of it
// from lo on.
func (w *writer) sources(lo, hi, grain, grid int64) []source {
	return w.split(lo, hi, hi-lo, grain, grid, len(w.opts.Rollups)-1)
}

func (w *writer) split(lo, hi, span, grain, grid int64, n int) []source {
	if lo >= hi {
		return nil
	}
	if n < 0 || !w.rolled() {
		return []source{{lo: lo, hi: hi}}
	}
	r := &w.opts.Rollups[n]
	from, until := max(lo, r.From.UnixMilli()), min(hi, r.Until.UnixMilli())
	if grid > 0 {
		from = lo + (from-lo+grid-1)/grid*grid
		until = lo + (until-lo)/grid*grid
	}
	if span <= r.Beyond.Milliseconds() || grain < r.Every.Milliseconds() || from >= until {
		return w.split(lo, hi, span, grain, grid, n-1)
	}
	if grid == 0 { // an hour has its beginning, and not its end
		if from > lo {
			from--
		}
		if until < hi {
			until--
		}
	}
	out := w.split(lo, from, span, grain, grid, n-1)
	out = append(out, source{r, from, until})
	return append(out, w.split(until, hi, span, grain, grid, n-1)...)
}

// best returns the one source for a single window that ends at t: the coarsest roll-up that has most of it, else the raw points.
func (w *writer) best(t int64) source {
	lo := t - w.window
	for n := len(w.opts.Rollups) - 1; n >= 0 && w.rolled(); n-- {
		r := &w.opts.Rollups[n]
		every := r.Every.Milliseconds()
		spare := max(w.window/16, 2*every)
		if w.window > r.Beyond.Milliseconds() && w.window >= every && r.From.UnixMilli() <= lo+spare && r.Until.UnixMilli() >= t-spare {
			return source{r, lo, t}
		}
	}
	return source{lo: lo, hi: t}
}
