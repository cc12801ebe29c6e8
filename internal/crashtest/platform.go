package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The times of the campaign: short, so that horizons pass quickly, and exact on the side of the
// platform, so that a slow machine makes no false double.
const (
	ttl   = 120 * time.Millisecond
	lease = 180 * time.Millisecond
	late  = 25 * time.Millisecond
	lag   = 10 * time.Millisecond
	skew  = 5 * time.Millisecond
)

// platform is the service. It outlives its clients.
type platform struct {
	ln  net.Listener
	log *os.File

	mu      sync.Mutex
	rng     *rand.Rand
	calm    bool                 // nothing goes wrong any more
	at      map[string]time.Time // first execution of each reference
	count   map[string]int
	order   map[string][]string // by key
	dropped int                 // answers dropped after execution
	lates   int                 // executions after the client was left alone
	refused int                 // messages that came after their Expires
	wg      sync.WaitGroup
}

type request struct {
	Op      string    `json:"op"`
	Ref     string    `json:"ref"`
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
}

type response struct {
	Status string `json:"status"` // done, busy, expired, yes, no
	Answer string `json:"answer,omitempty"`
}

func newPlatform(dir string, rng *rand.Rand) (*platform, error) {
	log, err := os.Create(filepath.Join(dir, "effects.log"))
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, err
	}
	p := &platform{ln: ln, log: log, rng: rng, at: map[string]time.Time{}, count: map[string]int{}, order: map[string][]string{}}
	p.wg.Go(p.serve)
	return p, nil
}

func (p *platform) close() {
	_ = p.ln.Close()
	p.wg.Wait()
	_ = p.log.Close()
}

func (p *platform) serve() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			line, err := bufio.NewReader(c).ReadBytes('\n')
			var q request
			if err != nil || json.Unmarshal(line, &q) != nil {
				return // the client died while it wrote: nothing arrived whole
			}
			if r, ok := p.answer(q); ok {
				b, _ := json.Marshal(r)
				_, _ = c.Write(append(b, '\n'))
			}
		})
	}
}

// answer decides what happens to a request; false: no answer leaves.
func (p *platform) answer(q request) (response, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Op == "query" {
		if at, ok := p.at[q.Ref]; ok && time.Since(at) >= lag {
			return response{Status: "yes", Answer: answerTo(q.Ref)}, true
		}
		return response{Status: "no"}, true
	}
	if time.Now().After(q.Expires) {
		p.refused++
		return response{Status: "expired"}, true
	}
	dice := p.rng.IntN(100)
	switch {
	case p.calm || dice >= 25:
		p.execute(q)
		return response{Status: "done", Answer: answerTo(q.Ref)}, true
	case dice < 10:
		p.execute(q)
		p.dropped++
		return response{}, false
	case dice < 15:
		return response{}, false // lost on the way
	case dice < 20:
		p.later(q, time.Now(), time.Duration(p.rng.Int64N(int64(late))))
		return response{}, false
	}
	return response{Status: "busy"}, true
}

// later executes a message that was accepted in time, at most late after that: what a busy machine
// would delay further is never executed at all.
func (p *platform) later(q request, accepted time.Time, d time.Duration) {
	p.wg.Go(func() {
		time.Sleep(d)
		p.mu.Lock()
		defer p.mu.Unlock()
		if time.Since(accepted) <= late {
			p.lates++
			p.execute(q)
		}
	})
}

// execute is the effect.
func (p *platform) execute(q request) {
	if _, ok := p.at[q.Ref]; !ok {
		p.at[q.Ref] = time.Now()
	}
	p.count[q.Ref]++
	p.order[q.Key] = append(p.order[q.Key], q.Ref)
	_, _ = fmt.Fprintf(p.log, "%s %s %s\n", time.Now().Format(time.RFC3339Nano), q.Key, q.Ref)
}

func answerTo(ref string) string { return "receipt of " + ref }

func (p *platform) setCalm(c bool) {
	p.mu.Lock()
	p.calm = c
	p.mu.Unlock()
}
