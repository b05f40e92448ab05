package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// kept are the licences whose terms a binary keeps that comes with NOTICE. MPL-2.0 asks for the source of its own files, which are as
// their authors published them.
var kept = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-NoTrademark", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unlicense", "Zlib"}

// enough is how much of a file has to be the words of licences that are known, as pkg.go.dev asks.
const enough = 75

var notALicence = regexp.MustCompile(`(?i)^(notice|copyright|patents)`)

// classify finds out a part's licences by the words of its texts.
func (p *part) classify() error {
	for _, t := range p.texts {
		if notALicence.MatchString(t.file[strings.LastIndexByte(t.file, '/')+1:]) {
			continue
		}
		found := licensecheck.Scan([]byte(t.body))
		if found.Percent < enough {
			return fmt.Errorf("%s@%s: only %.0f %% of %q is of licences that are known", p.name, p.version, found.Percent, t.file)
		}
		for _, m := range found.Match {
			if !slices.Contains(p.licences, m.ID) && !m.IsURL {
				p.licences = append(p.licences, m.ID)
			}
		}
	}
	slices.Sort(p.licences)
	if len(p.licences) == 0 {
		return fmt.Errorf("%s@%s has no licence", p.name, p.version)
	}
	return nil
}

// allowed says which parts have a licence that is not on the list.
func allowed(parts []part) error {
	var errs []error
	for _, p := range parts {
		for _, l := range p.licences {
			if !slices.Contains(kept, l) {
				errs = append(errs, fmt.Errorf("%s@%s is under %s, which is not one of %s", p.name, p.version, l, strings.Join(kept, ", ")))
			}
		}
	}
	return errors.Join(errs...)
}
