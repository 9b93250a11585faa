package request

// UnderWay is how many requests the table holds.
func UnderWay() (n int) {
	for i := range underWay {
		underWay[i].mu.Lock()
		n += len(underWay[i].requests)
		underWay[i].mu.Unlock()
	}
	return n
}
