// Command regextables writes src/regexes/unicode_tables.rs: what Go's package unicode says of categories, scripts and the
// folding of case, a few bytes a run of characters. `go run ./regextables > ../../../src/regexes/unicode_tables.rs` from
// tests/oracle/go.
package main

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

func uleb(out []byte, n uint32) []byte {
	for n >= 0x80 {
		out = append(out, byte(n)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

func zigzag(n int32) uint32 {
	return uint32(n<<1) ^ uint32(n>>31)
}

// runs calls each with every longest run of characters of one value.
func runs(value func(rune) int, each func(length uint32, value int)) {
	from, known := rune(0), value(0)
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if v := value(r); v != known {
			each(uint32(r-from), known)
			from, known = r, v
		}
	}
	each(uint32(unicode.MaxRune-from)+1, known)
}

func sortedKeys[V any](m map[string]V, keep func(string) bool) []string {
	var keys []string
	for k := range m {
		if keep(k) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

// valueOf gives the place of the table that a character is in, and `none` where it is in no one.
func valueOf(names []string, tables map[string]*unicode.RangeTable, first, none int) func(rune) int {
	values := make([]int, unicode.MaxRune+1)
	for i := range values {
		values[i] = none
	}
	for i, name := range names {
		t := tables[name]
		for _, r := range t.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				values[c] = first + i
			}
		}
		for _, r := range t.R32 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				values[c] = first + i
			}
		}
	}
	return func(r rune) int { return values[r] }
}

type fold struct {
	start  rune
	count  uint32
	stride rune
	delta  rune
}

// folds gives each character of which others differ by case only, the smallest of them, with the way to every other.
func folds() []fold {
	byDelta := map[rune][]rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		orbit, smallest := []rune{}, r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			orbit = append(orbit, f)
			smallest = min(smallest, f)
		}
		if smallest == r {
			for _, f := range orbit {
				byDelta[f-r] = append(byDelta[f-r], r)
			}
		}
	}
	var out []fold
	for delta, starts := range byDelta {
		for i := 0; i < len(starts); {
			f := fold{starts[i], 1, 1, delta}
			if i+1 < len(starts) && starts[i+1]-starts[i] <= 2 {
				f.stride = starts[i+1] - starts[i]
			}
			for i++; i < len(starts) && starts[i] == starts[i-1]+f.stride; i++ {
				f.count++
			}
			out = append(out, f)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].start < out[j].start || (out[i].start == out[j].start && out[i].delta < out[j].delta)
	})
	return out
}

func printBytes(name, doc string, data []byte) {
	for _, line := range strings.Split(doc, "\n") {
		fmt.Printf("/// %s\n", line)
	}
	fmt.Printf("pub(super) static %s: [u8; %d] = [\n", name, len(data))
	for len(data) > 0 {
		n := min(27, len(data))
		fmt.Print("    ")
		for i, b := range data[:n] {
			if i > 0 {
				fmt.Print(" ")
			}
			fmt.Printf("%d,", b)
		}
		fmt.Println()
		data = data[n:]
	}
	fmt.Print("];\n")
}

func printText(name, doc string, words []string) {
	fmt.Printf("/// %s\npub(super) static %s: &str = \"", doc, name)
	width := 200
	for i, w := range words {
		if width+len(w) > 100 {
			fmt.Print("\\\n    ")
			width = 0
		}
		width += len(w) + 1
		fmt.Print(w)
		if i < len(words)-1 {
			fmt.Print(" ")
		}
	}
	fmt.Print("\";\n\n")
}

func canonical(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}

func main() {
	// Cn, LC and the single letters follow from the others.
	categories := sortedKeys(unicode.Categories, func(k string) bool { return len(k) == 2 && k != "LC" && k != "Cn" })
	scripts := sortedKeys(unicode.Scripts, func(string) bool { return true })
	if len(categories)+1 > 32 || len(scripts)+1 > 256 {
		panic("the encoding has no room for so many")
	}
	var gc, sc, cf []byte
	runs(valueOf(categories, unicode.Categories, 0, len(categories)), func(length uint32, value int) {
		if length < 8 {
			gc = append(gc, byte(length-1)<<5|byte(value))
		} else {
			gc = uleb(append(gc, 7<<5|byte(value)), length-8)
		}
	})
	runs(valueOf(scripts, unicode.Scripts, 1, 0), func(length uint32, value int) {
		sc = uleb(append(sc, byte(value)), length)
	})
	last := rune(0)
	for _, f := range folds() {
		cf = uleb(cf, uint32(f.start-last))
		cf = uleb(cf, (f.count-1)<<1|uint32(f.stride-1))
		cf = uleb(cf, zigzag(f.delta))
		last = f.start
	}

	var codes, aliases, names []string
	for _, c := range categories {
		codes = append(codes, canonical(c))
	}
	for _, a := range sortedKeys(unicode.CategoryAliases, func(string) bool { return true }) {
		aliases = append(aliases, canonical(a)+"="+canonical(unicode.CategoryAliases[a]))
	}
	for _, s := range scripts {
		names = append(names, canonical(s))
	}
	fmt.Printf("//! Categories, scripts and folding of case as Go's package `unicode` has them (Unicode %s). Written by\n", unicode.Version)
	fmt.Println("//! `tests/oracle/go/regextables`; `unicode.rs` reads them.")
	fmt.Println()
	printText("CATEGORY_CODES", "The categories by their numbers; the number behind the last one is `cn`.", append(codes, "cn"))
	printText("CATEGORY_ALIASES", "Other names of categories.", aliases)
	printText("SCRIPT_NAMES", "The scripts by their numbers, from 1.", names)
	printBytes("CATEGORIES", "Runs of characters of one category: the number in the low five bits, the length less 1 above it; 7 there means\n"+
		"that the length less 8 follows.", gc)
	fmt.Println()
	printBytes("SCRIPTS", "Runs of characters of one script: the number, 0 for none, and the length.", sc)
	fmt.Println()
	printBytes("FOLDS", "Characters that differ by case only: how far behind the one before, how many less 1 and whether every second one,\n"+
		"and how far behind each its counterpart is.", cf)
}
