package conf

import (
	"fmt"
	"strings"
)

// Suggest is the remedy for a word that is none of known: the nearest one, or all.
func Suggest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if len(word) > 2*len(k)+2 {
			continue
		}
		if n := editDistance(strings.ToLower(word), k); n < distance && n < len(k) {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "use one of " + strings.Join(known, ", ")
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
