package main

import (
	"fmt"
	"unicode"
)

// printLetterTables prints Go's letters and numbers above ASCII as Rust tables of inclusive ranges.
func printLetterTables() {
	fmt.Println("//! Letters and numbers above ASCII as Go's `unicode` package (Unicode " + unicode.Version + ") knows them: inclusive ranges, sorted.")
	fmt.Println("//! Made by `tests/oracle/go letters`; do not edit. Rust's own `is_alphabetic` also holds marks and letter numbers.")
	fmt.Println()
	printRanges("LETTERS", "General category L.", unicode.IsLetter)
	fmt.Println()
	printRanges("NUMBERS", "General category N.", unicode.IsNumber)
}

func printRanges(name, doc string, is func(rune) bool) {
	fmt.Printf("/// %s\npub(super) static %s: &[(u32, u32)] = &[\n", doc, name)
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !is(r) {
			continue
		}
		low := r
		for r < unicode.MaxRune && is(r+1) {
			r++
		}
		fmt.Printf("    (0x%x, 0x%x),\n", low, r)
	}
	fmt.Println("];")
}
