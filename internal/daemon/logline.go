package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
)

// LineFormatter writes log lines as logrus.TextFormatter does without colours, in a small part of its time: servers
// write a line for each request. Keys stand in alphabetical order, and text that a client may have sent is quoted.
type LineFormatter struct {
	odd logrus.TextFormatter // for lines that have more than fields
}

// NewLineFormatter is one with the full time.
func NewLineFormatter() *LineFormatter {
	return &LineFormatter{logrus.TextFormatter{FullTimestamp: true, DisableColors: true}}
}

// Format implements logrus.Formatter.
func (f *LineFormatter) Format(e *logrus.Entry) ([]byte, error) {
	if e.Buffer == nil || e.HasCaller() || clashes(e.Data) {
		return f.odd.Format(e)
	}
	var room [16]string
	keys := slices.AppendSeq(room[:0], maps.Keys(e.Data))
	slices.Sort(keys)

	b := append(e.Buffer.AvailableBuffer(), "time="...)
	b = e.Time.AppendFormat(append(b, '"'), time.RFC3339)
	b = append(b, "\" level="...)
	b = append(b, e.Level.String()...)
	if e.Message != "" {
		b = appendText(append(b, " msg="...), e.Message)
	}
	for _, key := range keys {
		b = append(append(append(b, ' '), key...), '=')
		b = appendValue(b, e.Data[key])
	}
	b = append(b, '\n')
	e.Buffer.Write(b) // it keeps the memory for the next line
	return b, nil
}

// clashes tells fields that would be taken for the line's own.
func clashes(fields logrus.Fields) bool {
	for _, own := range [...]string{logrus.FieldKeyTime, logrus.FieldKeyLevel, logrus.FieldKeyMsg, logrus.FieldKeyLogrusError} {
		if _, taken := fields[own]; taken {
			return true
		}
	}
	return false
}

func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendText(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	}
	return appendText(b, fmt.Sprint(value))
}

// appendText quotes what is more than a plain word.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain(s[i]) {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(b, s...)
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '/' || c == '@' || c == '^' || c == '+'
}
