// What Go's regexp makes of patterns: JSON lines on stdout, from the seed and the count given as arguments.
// `go run ./regexes 1 300 > ../../fixtures/regexes/go.jsonl` from tests/oracle/go wrote the checked-in answers.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type answer struct {
	Pattern string  `json:"pattern"`
	Refused bool    `json:"refused,omitempty"`
	Text    *string `json:"text,omitempty"`
	Repl    string  `json:"repl,omitempty"`
	Match   bool    `json:"match,omitempty"`
	Output  *string `json:"output,omitempty"`
}

var out = json.NewEncoder(os.Stdout)

// Each stands for a rule of the syntax; every one meets every text.
var known = []string{
	`x*`, `\B`, `\b`, `(?i)token`, `(?i:token)`, `(?i)TOKEN=[^&]+`, `\p{L}+`, `\pL`, `\PL`, `\p{Greek}`, `\p{^Greek}`, `\P{^Greek}`,
	`\pN`, `\p{Lu}`, `(?i)\p{Lu}`, `(?i)\P{Lu}`, `[\p{Lu}\d]`, `[^\p{Lu}]`, `\p{Letter}`, `\p{greek}`, `\p{Cs}`, `\P{Cs}`, `\p{LC}`,
	`\p{Any}`, `\p{ASCII}`, `(?i)\p{ASCII}`, `\p{Grek}`, `\p{IsGreek}`, `\p{Alphabetic}`, `\p{gc=Lu}`, `\p{}`, `\p`, `\p{Greek`, `\p{Zz}`,
	`[^[]`, `^GET /[^[]+$`, `[[]`, `[]a]`, `[^]a]`, `[]`, `[^]`, `[a&&x]`, `[a--c]`, `[--a]`, `[a-]`, `[-a]`, `[a~~b]`, `[a-b-c]`, `[z-a]`, `[a`,
	`[[:alpha:]]+`, `[[:^alpha:]]`, `(?i)[[:lower:]]`, `(?i)[[:^lower:]]`, `[[:word:]]`, `[[:foo:]]`, `[:alpha:]`, `[[:alpha:]`, `[[.a.]]`,
	`\QGET /cart\E$`, `^\QGET /cart\E$`, `\Qa.b`, `\Q*\E+`, `a\Q\E*`, `\E`, `[\Qa\E]`, `\107`, `\101`, `\0`, `\08`, `\1`, `\8`, `\18`, `\777`,
	`\d`, `\D`, `\w+`, `\W`, `\s`, `\S+`, `(?i)\w`, `(?i)\W`, `(?i)[\W]`, `(?i)[^\W]`, `[\d-z]`, `[a-\d]`, `[\w.]+`, `[^\d]`, `[\s\S]`, `\h`, `\R`, `\X`, `\N`,
	`{`, `}`, `a{`, `a{,2}`, `a{2`, `a{2,`, `a{1,2}`, `a{2,}`, `a{0}`, `a{01}`, `a{1001}`, `a{1000}`, `a{2,1}`, `{1}`, `a{1}{2}`, `(?:a{2}){501}`,
	`(?:a{2}){500}`, `(a{10}){10}`, `((a{10}){10}){11}`, `([a-z]{90}){90}x1`, `(?:a{0}){1000}`, `(?:a{1000}){0}`, `(?:a{1000}){1}`,
	`a++`, `a**`, `a*+`, `a+?`, `a??`, `a???`, `*`, `+a`, `a|*`, `(*)`, `(?i)*`, `a(?i)*`, `a*(?i)*`, `a+(?i)?b`, `^*`, `\b+`, `\z*`, `(?:)*`, `(|a)*`,
	`(|a)+`, `(a|)*`, `(a*)*`, `(a*)+`, `(a|b*)*`, `(?:(a)|b)*`, `a||b`, `|`, `(`, `)`, `()`, `a)`, `(a`, `(?:a`,
	`\C`, `(?x)a b`, `(?x: a)`, `\u00e9`, `\U0001`, `\x`, `\x4`, `\x41`, `\x{41}`, `\x{}`, `\x{110000}`, `\x{D800}`, `[\x{D800}-\x{E000}]`, `[\x{D800}]`,
	`[^\x{D800}]`, `\x{0000041}`, `\xg1`, `\x{+1}`, `\A`, `\z`, `\Z`, `\<a`, `\>`, `\/`, `\-`, `\ `, `\_`, `\"`, `\é`, `\a\f\n\r\t\v`, `\c`, `\G`, `\k`, `\`,
	`(?P<n>a)`, `(?<n>a)`, `(?P<1>a)`, `(?P<n>a)(?P<n>b)?`, `(?P<>a)`, `(?P<n-1>a)`, `(?P<n`, `(?P=n)`, `(?P>n)`, `(?'n'a)`, `(?=a)`, `(?!a)`, `(?<=a)`, `(?>a)`,
	`(?#c)a`, `(?i-i)a`, `(?-i)a`, `(?i-)a`, `(?-)a`, `(?--i)a`, `(?)a`, `(?i`, `(?`, `(?i)a(?-i)b`, `((?i)a)b`, `(?i)a|b`, `(a(?i)b|c)d`, `(?s).`, `.`, `(?s-s).`,
	`(?m)^`, `(?m)$`, `^`, `$`, `(?m)^a$`, `(?m-m)$`, `(?U)a+`, `(?U)a+?`, `(?U)a*`, `(?U:a+)a`, `(?U)a{1,3}`, `(?is)A.B`, `(?ms)^.*$`, `(?i)k`, `(?i)ſ`, `(?i)[k-s]`, `(?i)[^k]`,
	`(?i)é`, `(?i)ß`, `(?i)σ`, `(?i)İ`, `é+`, `[é-ü]`, `[^é]`, `a.c`, `a#b`, `a b`, `"a"`, `~`, `[a#b]`, `[#]`, `(?i)[#-_]`, `(\d+)/(\w+)`, `([a-z]+)=([^&]*)`, `(a)|(b)`,
}

var texts = []string{
	"", "a", "é", "日", "aéb", "My Token", "token=abc&x=[1]", "GET /cart", "GET /a[b", "é1", "abc", "baaac", "a\nb", "line1\nline2", "a&&x-z",
	"ſchool Kelvin K", "Σσς İi", "a.b*c+{2}a{,2}", "12/ab cd", "\x00\x07\t\n\v\f\r ", "😀e\u0301", "AaBb ÉéÜ", "\ufffd", "a+b#c \"a\"~", "user:77/x",
}

var repls = []string{"U", "", "$0", "<$1>", "$1x", "${1}x", "$00", "$$", "$", "${n}", "$n$", "${1", "$9", "${é}-$é.", "$-", "$1$2$1"}

var atoms = []string{
	"a", "b", "A", "é", "ſ", "k", ".", "^", "$", `\b`, `\B`, `\d`, `\W`, `\s`, `\pL`, `\p{Greek}`, `\PN`, "[ab]", "[^a]", `[^\W]`, `[\pL-]`, "[[:punct:]]", `\Qa*\E`,
	`\x41`, `\107`, "{", "a{,2}", "(?i)", "(?-i)", "(?s)", "(?m)", "(?U)", "", " ", "#", "&", "/",
}

var operators = []string{"*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?", "??", "{1,2}?", "**"}

func generate(r *rand.Rand, depth int) string {
	switch n := r.Intn(8); {
	case depth == 0 || n < 3:
		return atoms[r.Intn(len(atoms))]
	case n < 5:
		return generate(r, depth-1) + generate(r, depth-1)
	case n < 6:
		return generate(r, depth-1) + operators[r.Intn(len(operators))]
	case n < 7:
		return generate(r, depth-1) + "|" + generate(r, depth-1)
	default:
		return []string{"(", "(?:", "(?i:", "(?P<n>", "(?s-i:"}[r.Intn(5)] + generate(r, depth-1) + ")"
	}
}

func text(r *rand.Rand) string {
	letters := []rune("aabAké ſK1_-\n/#&{σΣ日.G")
	var b strings.Builder
	for i := r.Intn(9); i > 0; i-- {
		b.WriteRune(letters[r.Intn(len(letters))])
	}
	return b.String()
}

func tell(pattern string, texts []string, repl func(int) string) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		out.Encode(answer{Pattern: pattern, Refused: true})
		return
	}
	for i, text := range texts {
		by := repl(i)
		output := re.ReplaceAllString(text, by)
		out.Encode(answer{Pattern: pattern, Text: &text, Repl: by, Match: re.MatchString(text), Output: &output})
	}
}

// Every category and script: its first and last characters, and one that is in none of the others.
func names(count int) {
	tables := map[string]*unicode.RangeTable{}
	for name, table := range unicode.Categories {
		tables[name] = table
	}
	for name, actual := range unicode.CategoryAliases {
		tables[name] = unicode.Categories[actual]
	}
	for name, table := range unicode.Scripts {
		tables[strings.ReplaceAll(name, "_", "")] = table
	}
	all := make([]string, 0, len(tables))
	for name := range tables {
		all = append(all, name)
	}
	sort.Strings(all)
	for i, name := range all {
		if count <= 1000 && i%8 != 0 {
			continue
		}
		pattern := `\p{` + name + `}`
		if _, err := regexp.Compile(pattern); err != nil {
			// Scripts of two words: since 1.25 Go knows none of them by any name; older ones know this one.
			continue
		}
		tell(pattern, []string{sample(tables[name]), "aZ5 _"}, func(int) string { return "U" })
		if count > 1000 {
			for _, p := range []string{pattern, "(?i)" + pattern, "(?i)[^" + pattern + "]"} {
				tell(p, []string{edges(tables[name])}, func(int) string { return "" })
			}
		}
	}
}

// The first and the last character of every run, and their neighbours.
func edges(table *unicode.RangeTable) string {
	var b strings.Builder
	inside := false
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if is := unicode.Is(table, r); is != inside {
			for _, c := range []rune{r - 1, r} {
				if utf8.ValidRune(c) {
					b.WriteRune(c)
				}
			}
			inside = is
		}
	}
	return b.String()
}

// Every character that differs from others by case only, alone and within a class.
func cases() {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.SimpleFold(r) == r {
			continue
		}
		text := string([]rune{r - 1, r, r + 1})
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			text += string([]rune{f - 1, f, f + 1})
		}
		tell("(?i)"+string(r), []string{text}, func(int) string { return "" })
		tell("(?i)[^"+string(r)+"\\d]", []string{text}, func(int) string { return "" })
	}
}

func sample(table *unicode.RangeTable) string {
	runes := []rune{}
	for _, r := range table.R16 {
		runes = append(runes, rune(r.Lo), rune(r.Hi))
	}
	for _, r := range table.R32 {
		runes = append(runes, rune(r.Lo), rune(r.Hi))
	}
	if len(runes) > 40 {
		runes = append(runes[:20], runes[len(runes)-20:]...)
	}
	kept := runes[:0]
	for _, r := range runes {
		// What was not assigned in Unicode 15 may be by now.
		if utf8.ValidRune(r) && !unicode.Is(unicode.Cn, r) {
			kept = append(kept, r)
		}
	}
	return string(kept)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "arguments: seed, number of generated patterns")
		os.Exit(2)
	}
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	count, _ := strconv.Atoi(os.Args[2])
	out.SetEscapeHTML(false)
	r := rand.New(rand.NewSource(seed))
	for n, pattern := range known {
		if count <= 1000 {
			// The checked-in answers: four texts a pattern, each text as often as any other.
			some := []string{}
			for i := 0; i < 4; i++ {
				some = append(some, texts[(n*7+i*6)%len(texts)])
			}
			tell(pattern, some, func(i int) string { return repls[(n+i)%len(repls)] })
		} else {
			for i := range repls {
				tell(pattern, texts, func(int) string { return repls[i] })
			}
		}
	}
	names(count)
	if count > 1000 {
		cases()
	}
	for i := 0; i < count; i++ {
		tell(generate(r, 4), []string{text(r), text(r)}, func(int) string { return repls[r.Intn(len(repls))] })
	}
}
