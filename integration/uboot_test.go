package integration_test

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
)

func TestAnARMBoardWithUBootFetchesItsScriptAndAFileInWindows(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t)})
	b := boots(t, l, "old-board", lab.UBoot)

	content, err := os.ReadFile(filepath.Join(l.BootDir(), "ipxe.efi"))
	if err != nil {
		t.Fatal(err)
	}
	windowed := false
	for _, f := range b.Trace.Transfers {
		windowed = windowed || f.Whole && f.Name == "ipxe.efi" && f.Received == int64(len(content)) &&
			strings.Contains(f.Granted, "windowsize=8") && strings.Contains(f.Granted, "blksize=1468")
	}
	if !windowed {
		t.Errorf("U-Boot did not get its file in windows of 8:\n%s", timeline(b))
	}
	sum := fmt.Sprintf("==> %08x", crc32.ChecksumIEEE(content))
	told := false
	for _, line := range b.Console {
		told = told || strings.HasSuffix(line.Text, sum)
	}
	if !told {
		t.Errorf("what U-Boot has does not have the checksum %s:\n%s", sum, timeline(b))
	}
}
