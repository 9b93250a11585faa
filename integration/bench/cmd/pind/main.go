// Command pind serves one directory by TFTP with the library github.com/pin/tftp, as its README shows.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pin/tftp/v3"
)

func main() {
	dir := flag.String("root", "", "directory to serve")
	address := flag.String("address", ":69", "address to serve at")
	flag.Parse()
	root, err := os.OpenRoot(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pind:", err)
		os.Exit(1)
	}
	s := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		f, err := root.Open(strings.TrimLeft(name, "/"))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = to.ReadFrom(f)
		return err
	}, nil)
	if err := s.ListenAndServe(*address); err != nil {
		fmt.Fprintln(os.Stderr, "pind:", err)
		os.Exit(1)
	}
}
