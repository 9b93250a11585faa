package journal_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

var errPower = errors.New("the power is gone")

// disk is a directory in memory that loses power: what was not synced is then there or not, sector by sector, and names
// that were not synced come back or stay away in the order in which they were changed.
type disk struct {
	mu      sync.Mutex
	random  *rand.Rand
	names   map[string]*inode // as the program sees them
	durable map[string]*inode
	changes []func(map[string]*inode)
	left    int  // operations before the power goes; negative: it stays
	full    bool // no write that enlarges a file succeeds
	broken  int  // so many syncs fail, and forget what they should have written
	syncs   int
}

type inode struct {
	data, durable []byte
	writes        []write
}

// write is something not synced yet: bytes at an offset, or a cut.
type write struct {
	at   int64
	data []byte
	cut  bool
}

const sectorSize = 512

func newDisk(seed uint64) *disk {
	return &disk{random: rand.New(rand.NewPCG(seed, 1)), names: map[string]*inode{}, durable: map[string]*inode{}, left: -1}
}

// step counts an operation, and tells whether it still happens.
func (d *disk) step() error {
	if d.left == 0 {
		return errPower
	}
	if d.left > 0 {
		d.left--
	}
	return nil
}

// restart is what the next start finds.
func (d *disk) restart() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newDisk(d.random.Uint64())
	for name, i := range d.durable {
		next.names[name] = i
	}
	for _, change := range d.changes[:d.random.IntN(len(d.changes)+1)] {
		change(next.names)
	}
	luck := []float64{0, 0.1, 0.5, 0.9, 1}[d.random.IntN(5)]
	for name, i := range next.names {
		survivor := &inode{data: slices.Clone(i.durable)}
		reached := map[int64]int{} // how many of the writes to a sector reached it
		for n, w := range i.writes {
			survivor.settle(w, func(sector int64) bool {
				if _, known := reached[sector]; !known {
					reached[sector] = n
					for reached[sector] < len(i.writes) && d.random.Float64() < luck {
						reached[sector]++
					}
				}
				return n < reached[sector]
			})
		}
		survivor.durable = slices.Clone(survivor.data)
		next.names[name], next.durable[name] = survivor, survivor
	}
	return next
}

// settle puts the sectors of a write on the disk that reach it.
func (i *inode) settle(w write, reaches func(sector int64) bool) {
	if w.cut {
		if reaches(-1) {
			i.data = i.data[:min(int64(len(i.data)), w.at)]
		}
		return
	}
	for at := w.at; at < w.at+int64(len(w.data)); {
		end := min(w.at+int64(len(w.data)), at-at%sectorSize+sectorSize)
		if reaches(at / sectorSize) {
			i.put(at, w.data[at-w.at:end-w.at])
		}
		at = end
	}
}

func (i *inode) put(at int64, b []byte) {
	if grow := at + int64(len(b)) - int64(len(i.data)); grow > 0 {
		i.data = append(i.data, make([]byte, grow)...)
	}
	copy(i.data[at:], b)
}

func (d *disk) change(f func(map[string]*inode)) {
	f(d.names)
	d.changes = append(d.changes, f)
}

func (d *disk) Open(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &file{d, i}, d.step()
}

func (d *disk) Create(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.names[name]; ok {
		return nil, fs.ErrExist
	}
	if err := d.step(); err != nil {
		return nil, err
	}
	i := &inode{}
	d.change(func(names map[string]*inode) { names[name] = i })
	return &file{d, i}, nil
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.change(func(names map[string]*inode) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if _, ok := d.names[name]; !ok {
		return fs.ErrNotExist
	}
	d.change(func(names map[string]*inode) { delete(names, name) })
	return nil
}

func (d *disk) Names() (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.names {
		names = append(names, n)
	}
	return names, nil
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fails(); err != nil {
		return err
	}
	for _, change := range d.changes {
		change(d.durable)
	}
	d.changes = nil
	return nil
}

func (d *disk) fails() error {
	if err := d.step(); err != nil {
		return err
	}
	d.syncs++
	if d.broken > 0 {
		d.broken--
		return syscall.EIO
	}
	return nil
}

type file struct {
	disk *disk
	*inode
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.step()
	if f.disk.full && at+int64(len(b)) > int64(len(f.data)) {
		b, err = b[:len(b)/2], syscall.ENOSPC
	}
	f.put(at, b)
	f.writes = append(f.writes, write{at: at, data: slices.Clone(b)})
	return len(b), err
}

func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step(); err != nil {
		return err
	}
	f.data = f.data[:min(int64(len(f.data)), size)]
	f.writes = append(f.writes, write{at: size, cut: true})
	return nil
}

func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.fails(); err != nil {
		if errors.Is(err, syscall.EIO) {
			f.writes = nil // the kernel has dropped the pages
		}
		return err
	}
	saved := &inode{data: f.durable}
	for _, w := range f.writes {
		saved.settle(w, func(int64) bool { return true })
	}
	f.durable, f.writes = saved.data, nil
	return nil
}

func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *file) Close() error { return nil }
