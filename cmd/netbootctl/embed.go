package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/placeholder"
)

const embedUsage = `netbootctl embed puts a script into a copy of an iPXE binary, or of an image with one, that was built with the placeholder
in it. netboot-tftpd does the same for each machine while it serves such a file.

Usage: netbootctl embed IN --script FILE -o OUT
       netbootctl embed --placeholder -o OUT

Examples:
  netbootctl embed --placeholder -o placeholder.ipxe
      write the placeholder, to build iPXE with EMBED=placeholder.ipxe
  netbootctl embed ipxe.efi --script boot.ipxe -o site.efi
      make an iPXE that runs boot.ipxe

A signature of IN does not hold for OUT. BIOS builds of iPXE are compressed, so they have no placeholder to be found.

Exit status: 0 when OUT is written, 1 for what a file forbids, 2 for a wrong command line. Flags:
`

func embed(args []string, out, beside io.Writer) error {
	fs := flag.NewFlagSet("netbootctl embed", flag.ContinueOnError)
	script := fs.String("script", "", "the `file` to put in")
	output := fs.StringP("output", "o", "", "the `file` to write")
	blank := fs.Bool("placeholder", false, "write the placeholder itself")
	if err := parse(fs, args, embedUsage, out); err != nil {
		return err
	}
	switch {
	case *output == "":
		return errors.New("names no file to write; give -o OUT")
	case *blank && fs.NArg() == 0 && *script == "":
		return write(out, *output, func(w io.Writer) error {
			_, err := w.Write(placeholder.Text())
			return err
		})
	case *blank || fs.NArg() != 1 || *script == "":
		return errors.New("takes one file and its script; write embed IN --script FILE -o OUT, or embed --placeholder -o OUT")
	}
	err := splice(out, fs.Arg(0), *script, *output)
	var refused *os.PathError
	if errors.As(err, &refused) || errors.Is(err, errUnfit) {
		fmt.Fprintln(beside, err)
		return errFound
	}
	return err
}

var errUnfit = errors.New("nothing is written")

func splice(out io.Writer, in, script, output string) error {
	text, err := os.ReadFile(script)
	if err != nil {
		return err
	}
	f, err := os.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	blocks, err := placeholder.Find(f, info.Size())
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w; %w", in, err, errUnfit)
	case info.Size() > placeholder.Longest:
		return fmt.Errorf("%s: has %d bytes, and %d are searched at most; %w", in, info.Size(), placeholder.Longest, errUnfit)
	case len(blocks) == 0:
		return fmt.Errorf("%s: has no placeholder; build iPXE for EFI with EMBED= and what netbootctl embed --placeholder writes; %w", in, errUnfit)
	}
	s, err := placeholder.Splice(f, info.Size(), blocks, text)
	if err != nil {
		return fmt.Errorf("%s: %w; %w", script, err, errUnfit)
	}
	return write(out, output, func(w io.Writer) error {
		_, err := io.Copy(w, s)
		return err
	})
}

// write puts a file in place when it is whole: OUT may be a file that is being served, or IN itself.
func write(out io.Writer, path string, content func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(f.Name())
	err = content(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "%s is written\n", path)
	}
	return err
}
