package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

// fetchHTTP does by HTTP what a plan would do by TFTP, each client on a connection of its own: what the wire allows.
func fetchHTTP(ctx context.Context, site *Site, p tftp.Plan) (*tftp.Result, error) {
	result := &tftp.Result{Errors: map[string]int{}}
	begun, cpu := time.Now(), load.ProcessTime()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range p.Clients {
		clients.Add(1)
		go func() {
			defer clients.Done()
			client := browser(site)
			defer client.CloseIdleConnections()
			for n := 0; n < p.Each && (p.For == 0 || time.Since(begun) < p.For) && ctx.Err() == nil; n++ {
				start := time.Now()
				err := get(ctx, client, p)
				mu.Lock()
				result.Took.Record(time.Since(start))
				if err != nil {
					result.Failed++
					result.Errors[err.Error()]++
				} else {
					result.Done++
					result.Bytes += len(p.Want)
				}
				mu.Unlock()
			}
		}()
	}
	clients.Wait()
	result.Elapsed, result.CPU = time.Since(begun), load.ProcessTime()-cpu
	return result, ctx.Err()
}

// browser is a client whose connections begin in the machines' namespace.
func browser(site *Site) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			err = site.machines.Do(func() error {
				conn, err = new(net.Dialer).DialContext(ctx, network, address)
				return err
			})
			return conn, err
		},
		ReadBufferSize: 64 << 10,
	}}
}

func get(ctx context.Context, client *http.Client, p tftp.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, p.Deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cableServer+":8080/"+p.Name, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got := bytes.NewBuffer(make([]byte, 0, len(p.Want)+bytes.MinRead))
	if _, err := io.Copy(got, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Equal(got.Bytes(), p.Want) {
		return fmt.Errorf("status %d and %d bytes", response.StatusCode, got.Len())
	}
	return nil
}
