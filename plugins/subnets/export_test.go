package subnets

import (
	"errors"

	"github.com/coredhcp/coredhcp/plugins"
)

// NewClosing is New, and what ends the use of its leases and reads its files again.
func NewClosing(e Env) (p plugins.Plugin, closing, reload func() error) {
	p, all := e.plugin()
	each := func(f func(*site) error) func() error {
		return func() (err error) {
			for _, s := range all.open {
				err = errors.Join(err, f(s))
			}
			return err
		}
	}
	return p, each((*site).close), each((*site).reload)
}
