// Package journaltest is a directory in memory that loses power, fills up, and fails: test support for what is kept in a
// journal.
package journaltest

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

// ErrPower is what everything fails with when the power is gone.
var ErrPower = errors.New("the power is gone")

// Disk is a directory in memory that loses power: what was not synced is then there or not, sector by sector, and names
// that were not synced come back or stay away in the order in which they were changed.
type Disk struct {
	mu      sync.Mutex
	Random  *rand.Rand
	Files   map[string]*Inode // as the program sees them
	durable map[string]*Inode
	changes []func(map[string]*Inode)
	Left    int  // operations before the power goes; negative: it stays
	Full    bool // no write that enlarges a file succeeds
	Broken  int  // so many syncs fail, and forget what they should have written
	Syncs   int
}

// Inode is a file.
type Inode struct {
	Data, durable []byte
	writes        []write
}

// write is something not synced yet: bytes at an offset, or a cut.
type write struct {
	at   int64
	data []byte
	cut  bool
}

// SectorSize is what is lost or kept as a whole, in bytes.
const SectorSize = 512

// NewDisk is an empty one. What is lost when the power goes follows from the seed.
func NewDisk(seed uint64) *Disk {
	return &Disk{Random: rand.New(rand.NewPCG(seed, 1)), Files: map[string]*Inode{}, durable: map[string]*Inode{}, Left: -1}
}

// Set changes the disk while it may be in use.
func (d *Disk) Set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// step counts an operation, and tells whether it still happens.
func (d *Disk) step() error {
	if d.Left == 0 {
		return ErrPower
	}
	if d.Left > 0 {
		d.Left--
	}
	return nil
}

// Restart is what the next start finds.
func (d *Disk) Restart() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := NewDisk(d.Random.Uint64())
	for name, i := range d.durable {
		next.Files[name] = i
	}
	for _, change := range d.changes[:d.Random.IntN(len(d.changes)+1)] {
		change(next.Files)
	}
	luck := []float64{0, 0.1, 0.5, 0.9, 1}[d.Random.IntN(5)]
	for name, i := range next.Files {
		survivor := &Inode{Data: slices.Clone(i.durable)}
		reached := map[int64]int{} // how many of the writes to a sector reached it
		for n, w := range i.writes {
			survivor.settle(w, func(sector int64) bool {
				if _, known := reached[sector]; !known {
					reached[sector] = n
					for reached[sector] < len(i.writes) && d.Random.Float64() < luck {
						reached[sector]++
					}
				}
				return n < reached[sector]
			})
		}
		survivor.durable = slices.Clone(survivor.Data)
		next.Files[name], next.durable[name] = survivor, survivor
	}
	return next
}

// settle puts the sectors of a write on the disk that reach it.
func (i *Inode) settle(w write, reaches func(sector int64) bool) {
	if w.cut {
		if reaches(-1) {
			i.Data = i.Data[:min(int64(len(i.Data)), w.at)]
		}
		return
	}
	for at := w.at; at < w.at+int64(len(w.data)); {
		end := min(w.at+int64(len(w.data)), at-at%SectorSize+SectorSize)
		if reaches(at / SectorSize) {
			i.put(at, w.data[at-w.at:end-w.at])
		}
		at = end
	}
}

func (i *Inode) put(at int64, b []byte) {
	if grow := at + int64(len(b)) - int64(len(i.Data)); grow > 0 {
		i.Data = append(i.Data, make([]byte, grow)...)
	}
	copy(i.Data[at:], b)
}

func (d *Disk) change(f func(map[string]*Inode)) {
	f(d.Files)
	d.changes = append(d.changes, f)
}

// Open opens an existing file.
func (d *Disk) Open(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.Files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &file{d, i}, d.step()
}

// Create makes a new one.
func (d *Disk) Create(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.Files[name]; ok {
		return nil, fs.ErrExist
	}
	if err := d.step(); err != nil {
		return nil, err
	}
	i := &Inode{}
	d.change(func(names map[string]*Inode) { names[name] = i })
	return &file{d, i}, nil
}

// Rename replaces to.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.change(func(names map[string]*Inode) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

// Remove removes a file.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if _, ok := d.Files[name]; !ok {
		return fs.ErrNotExist
	}
	d.change(func(names map[string]*Inode) { delete(names, name) })
	return nil
}

// Names lists the files.
func (d *Disk) Names() (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.Files {
		names = append(names, n)
	}
	return names, nil
}

// Sync makes the names durable.
func (d *Disk) Sync() error {
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

func (d *Disk) fails() error {
	if err := d.step(); err != nil {
		return err
	}
	d.Syncs++
	if d.Broken > 0 {
		d.Broken--
		return syscall.EIO
	}
	return nil
}

type file struct {
	disk *Disk
	*Inode
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if at >= int64(len(f.Data)) {
		return 0, io.EOF
	}
	n := copy(b, f.Data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.step()
	if f.disk.Full && at+int64(len(b)) > int64(len(f.Data)) {
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
	f.Data = f.Data[:min(int64(len(f.Data)), size)]
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
	saved := &Inode{Data: f.durable}
	for _, w := range f.writes {
		saved.settle(w, func(int64) bool { return true })
	}
	f.durable, f.writes = saved.Data, nil
	return nil
}

func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.Data)), nil
}

func (f *file) Close() error { return nil }
