// Package terminal is how the commands speak to a person at a terminal: help that fits, and what is being waited for.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Narrow makes help fit the terminal that it is read on; elsewhere it stays as it was written.
func Narrow(root *cobra.Command, out io.Writer) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if width := columns(out); width > 0 {
			WrapHelp(cmd, width)
		}
		help(cmd, args)
	})
}

// columns is how wide the terminal is; 0 where there is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// WrapHelp wraps a command's description and flags to so many columns.
func WrapHelp(cmd *cobra.Command, width int) {
	width = max(width, 40)
	var long []string
	for paragraph := range strings.SplitSeq(cmd.Long, "\n\n") {
		long = append(long, wrap(paragraph, width))
	}
	cmd.Long = strings.Join(long, "\n\n")
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", width)))
}

// wrap puts as many words on each line as fit.
func wrap(text string, width int) string {
	out, left := "", 0 // what is left of the line
	for i, word := range strings.Fields(text) {
		n, between := utf8.RuneCountInString(word), " "
		if left -= 1 + n; left < 0 {
			between, left = "\n", width-n
		}
		if i > 0 {
			out += between
		}
		out += word
	}
	return out
}

// Is says whether a person reads the writer.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
