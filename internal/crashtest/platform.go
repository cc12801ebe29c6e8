package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// world is what a child needs to know of the platform and of itself.
type world struct {
	CA       [][]byte          `json:"ca"`
	Services resilience.Static `json:"services"`
	People   []person          `json:"people"`
	// Of prescriptions.
	Doctor   *rxParty `json:"doctor,omitempty"`
	Pharmacy *rxParty `json:"pharmacy,omitempty"`
}

// person is one holder of a certificate. The key is a test's.
type person struct {
	SSIN string `json:"ssin"`
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

const worldFile = "world.json"

// platform is the sandbox, in the process of the parent: it outlives all clients.
type platform struct{ *sandbox.Sandbox }

// newPlatform starts a sandbox with that many people of ours and writes dir/world.json for children.
func newPlatform(dir string, seed uint64, people int) (*platform, error) {
	sb, err := sandbox.New(sandbox.Config{Seed: seed, Patients: -1, Listen: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	p := &platform{sb}
	w := world{Services: resilience.Static{}}
	for _, c := range sb.CA() {
		w.CA = append(w.CA, c.Raw)
	}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			w.Services[id] = append(w.Services[id], resilience.Endpoint(e))
		}
	}
	for i := range people {
		one, err := p.person(i)
		if err != nil {
			return nil, err
		}
		w.People = append(w.People, one)
	}
	if err := p.parties(&w); err != nil {
		return nil, err
	}
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return p, os.WriteFile(filepath.Join(dir, worldFile), b, 0o600)
}

func (p *platform) person(i int) (one person, err error) {
	d := p.Person(identity.Doctor, i)
	if d == nil {
		return one, fmt.Errorf("the sandbox has no doctor %d", i)
	}
	c, err := d.Authentication()
	if err != nil {
		return one, err
	}
	one.SSIN, one.Cert = d.SSIN.Reveal(), c.Certificate.Raw
	one.Key, err = x509.MarshalPKCS8PrivateKey(c.Key)
	return one, err
}

// misbehave makes both addresses of the application drop every tenth answer after the execution,
// and do what else a platform does on a bad day. At most it executes late, and what it executed
// is found a little later.
func (p *platform) misbehave(faults string) error {
	p.SetApp(sandbox.AppBehaviour{Late: late, LateP: 0.2, QueryLag: lag})
	sc, err := sandbox.ParseScript(faults)
	if err != nil {
		return err
	}
	_, err = p.Apply(sc)
	return err
}

// badDay drops 10 % of the answers after the execution, loses 4 % of the exchanges before or after
// it, refuses 4 % for a while, and is slow in 20 % before it executes.
const badDay = `
app        0 to_end lost_ack p=0.1
app-direct 0 to_end lost_ack p=0.1
app        0 to_end loss     p=0.04
app-direct 0 to_end loss     p=0.04
app        0 to_end fault    code=SOA-02002;p=0.04
app        0 to_end slow     median_ms=15;sigma=1;cap_ms=200;p=0.2;late=1`

// lostAnswers drops 10 % of the answers after the execution, and nothing else.
const lostAnswers = `
app        0 to_end lost_ack p=0.1
app-direct 0 to_end lost_ack p=0.1`

// executed lists what was done under references that want says yes to, in order.
func (p *platform) executed(want func(ref string) bool) (out []sandbox.AppExecution) {
	for _, e := range p.AppExecutions() {
		if want(e.Reference) {
			out = append(out, e)
		}
	}
	return out
}

// behaved is what the platform did to everybody.
type behaved struct {
	Dropped  int // answers, after execution
	Late     int // executions after the client was cut off
	Missed   int // executions that this machine was too slow for
	Expired  int // messages refused because they came after their Expires
	Tokens   int // issued
	Doubles  int // by its own counter
	Effects  int
	Requests int
}

func (p *platform) behaved() behaved {
	st := p.State()
	return behaved{
		Dropped: st.Hits["app"]["lost_ack"] + st.Hits["app-direct"]["lost_ack"],
		Late:    st.Counters["app.late"], Missed: st.Counters["app.missed"],
		Expired: st.Counters["app.refused.SOA-01001"] + st.Counters["app-direct.refused.SOA-01001"],
		Tokens:  st.Effects["sts.issued"], Doubles: st.Effects["app.double"], Effects: st.Effects["app.put"],
		Requests: st.Requests["app"] + st.Requests["app-direct"],
	}
}

// waitFor polls until ok; for what another process does there is nothing to wait on.
func waitFor(limit time.Duration, ok func() (bool, error)) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		done, err := ok()
		if done || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing happened for %v", limit)
		}
	}
}
