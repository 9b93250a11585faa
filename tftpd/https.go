package tftpd

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/coredhcp-netboot/suite/internal/live"
)

// Certificate is a certificate with its chain and key, read from PEM files.
type Certificate = tls.Certificate

// LoadCertificate reads a certificate, with the chain behind it, and its key.
func LoadCertificate(cert, key string) (*Certificate, error) {
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w; give PEM files of one pair", cert, key, err)
	}
	return &c, nil
}

// NewHTTPS is NewHTTP over TLS, for UEFI's HTTPS boot and iPXE. Each connection gets the certificate of its time.
func NewHTTPS(l net.Listener, c Config, certificate *live.Value[Certificate]) *HTTP {
	h := NewHTTP(tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   suites(),
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate.Load(), nil },
	}), c)
	h.protocol = "https"
	return h
}

// suites are Go's own and those with RSA key exchange, which Go leaves out by default and iPXE up to 1.21.1 needs: it has
// no elliptic curves.
func suites() []uint16 {
	var all []uint16
	for _, s := range tls.CipherSuites() {
		all = append(all, s.ID)
	}
	return append(all, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA)
}
