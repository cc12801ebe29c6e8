package bcp_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

func TestConfigErrors(t *testing.T) {
	p := world()
	for name, c := range map[string]bcp.Config{
		"no environment":    {},
		"URLs without HTTP": {Environment: "x", URLs: []string{"https://a.example/x"}, Trust: p.trust()},
		"no base":           (&server{}).config(p, &events{}),
		"no roots":          {Environment: "x", Dir: "y"},
		"negative":          {Environment: "x", PollMin: -1},
		"poll bounds":       {Environment: "x", PollMin: time.Hour, PollMax: time.Minute},
	} {
		if name == "no base" {
			c.URLs = []string{"servicelist"}
		}
		if _, err := bcp.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d := open(t, bcp.Config{Environment: bcp.Acceptance})
	c := d.Config()
	if c.PollMin != 5*time.Minute || c.PollMax != 15*time.Minute || c.AlertPoll != time.Minute || c.Timeout != 10*time.Second || len(c.Static) != 24 {
		t.Errorf("%+v", c)
	}
	if err := d.Refresh(context.Background()); !errors.Is(err, bcp.ErrUnreachable) {
		t.Error(err)
	}
	d.Start()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestLoad: which of disk, embedded and static is used, and what is told.
func TestLoad(t *testing.T) {
	p := world()
	expired := issue(&p.issuing, name(platform), kind{from: -48 * time.Hour, to: -time.Hour})
	at := time.Now().Add(-2 * time.Hour)
	older, newer := p.make(draft{issued: at}), p.make(draft{issued: at.Add(time.Minute), services: switched})
	old := p.make(draft{by: &expired, issued: at, services: switched})
	for _, c := range []struct {
		name           string
		disk, embedded []byte
		source         bcp.Source
		refused        error
		alternate      bool // the switched list is in force
	}{
		{"nothing", nil, nil, bcp.FromNowhere, nil, false},
		{"disk", newer, nil, bcp.FromDisk, nil, true},
		{"embedded", nil, newer, bcp.FromEmbedded, nil, true},
		{"disk newer", newer, older, bcp.FromDisk, nil, true},
		{"embedded newer", older, newer, bcp.FromEmbedded, bcp.ErrOlder, true},
		{"disk damaged", newer[:len(newer)-9], older, bcp.FromEmbedded, bcp.ErrSyntax, false},
		{"disk damaged, nothing else", newer[:len(newer)-9], nil, bcp.FromNowhere, bcp.ErrSyntax, false},
		{"disk of another environment", p.make(draft{env: bcp.Acceptance}), older, bcp.FromEmbedded, bcp.ErrEnvironment, false},
		{"disk huge", make([]byte, bcp.MaxBytes+10), nil, bcp.FromNowhere, bcp.ErrTooLarge, false},
		{"embedded damaged", newer, []byte("x"), bcp.FromDisk, bcp.ErrSyntax, true},
		{"signer expired since", old, nil, bcp.FromDisk, nil, true},
		{"the clock is wrong", p.make(draft{issued: time.Now().Add(24 * time.Hour), services: switched}), nil, bcp.FromDisk, nil, true},
	} {
		e := &events{}
		cfg := (&server{}).config(p, e)
		cfg.Dir, cfg.Embedded = t.TempDir(), c.embedded
		path := filepath.Join(cfg.Dir, "servicelist-production.xml")
		if c.disk != nil {
			if err := os.WriteFile(path, c.disk, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d := open(t, cfg)
		_, source := d.List()
		want := esb + "/GenericInsurability/v1"
		if c.alternate {
			want = mcn + "/genins"
		}
		if got := active(t, d, genins); source != c.source || got != want {
			t.Errorf("%s: %v, %s", c.name, source, got)
		}
		var refused, loaded int
		for _, v := range e.take() {
			switch v.Kind {
			case bcp.Refused:
				refused++
				if !errors.Is(v.Err, c.refused) || c.refused == nil {
					t.Errorf("%s: %v", c.name, v.Err)
				}
			case bcp.Loaded:
				loaded++
			}
		}
		if (refused == 1) != (c.refused != nil) || (loaded == 1) != (c.source != bcp.FromNowhere) {
			t.Errorf("%s: %d refused, %d loaded", c.name, refused, loaded)
		}
		if c.disk != nil {
			if now, err := os.ReadFile(path); err != nil || string(now) != string(c.disk) {
				t.Errorf("%s: loading changed the file", c.name)
			}
		}
	}
}

// TestExpiredSignerFromNetwork: what is good enough for a stored copy is not for a fetched one.
func TestExpiredSignerFromNetwork(t *testing.T) {
	p, e := world(), &events{}
	expired := issue(&p.issuing, name(platform), kind{from: -48 * time.Hour, to: -time.Hour})
	d := open(t, (&server{}).config(p, e))
	if err := d.Offer(p.make(draft{by: &expired, issued: time.Now().Add(-2 * time.Hour)})); !errors.Is(err, bcp.ErrExpired) {
		t.Error(err)
	}
	e.only(t, "offer", bcp.Refused, bcp.ErrExpired)
}

func TestDiskFailures(t *testing.T) {
	p, e := world(), &events{}
	cfg := (&server{}).config(p, e)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(file, "below") // cannot be made
	d := open(t, cfg)
	e.take()
	at := time.Now().Add(-time.Minute)
	for i, services := range []string{normal, switched, normal} {
		if err := d.Offer(p.make(draft{issued: at.Add(time.Duration(i) * time.Second), services: services})); err != nil {
			t.Error(err)
		}
	}
	kinds := ""
	for _, v := range e.take() {
		kinds += v.Kind.String() + " "
	}
	if kinds != "installed not stored installed installed " {
		t.Error(kinds)
	}

	cfg.Dir = t.TempDir()
	stale, fresh := filepath.Join(cfg.Dir, ".servicelist-1.tmp"), filepath.Join(cfg.Dir, ".servicelist-2.tmp")
	for _, f := range []string{stale, fresh} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(stale, at, at.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(cfg.Dir, "servicelist-production.xml"), 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	e.only(t, "a directory where the file should be", bcp.Refused, bcp.ErrStore)
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a crash left is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("another process's file is gone")
	}
}

// TestStoredLater: a list that is in force but not on disk is stored when the network confirms it.
func TestStoredLater(t *testing.T) {
	p := world()
	cfg := (&server{}).config(p, &events{})
	cfg.Dir, cfg.Embedded = t.TempDir(), p.make(draft{})
	d := open(t, cfg)
	if err := d.Offer(cfg.Embedded); err != nil {
		t.Fatal(err)
	}
	if stored, err := os.ReadFile(filepath.Join(cfg.Dir, "servicelist-production.xml")); err != nil || string(stored) != string(cfg.Embedded) {
		t.Errorf("not stored: %v", err)
	}
}

// TestNewerOnDisk: of two processes that share a directory, the slower one does not bring back an older list.
func TestNewerOnDisk(t *testing.T) {
	p := world()
	cfg := (&server{}).config(p, &events{})
	cfg.Dir = t.TempDir()
	slow, fast := open(t, cfg), open(t, cfg)
	at := time.Now().Add(-time.Minute)
	newer := p.make(draft{issued: at.Add(time.Second), services: switched})
	if err := fast.Offer(newer); err != nil {
		t.Fatal(err)
	}
	if err := slow.Offer(p.make(draft{issued: at})); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(cfg.Dir, "servicelist-production.xml"))
	if err != nil || string(stored) != string(newer) {
		t.Errorf("the older list is on disk: %v", err)
	}
}

func TestLookups(t *testing.T) {
	p := world()
	const md, mcmd = "uddi:ehealth-fgov-be:business:memberdata:v1", "uddi:ehealth-fgov-be:business:mycarenetmemberdata:v1"
	cfg := (&server{}).config(p, &events{})
	cfg.Static = resilience.Static{
		genins:     {{URL: esb + "/GenericInsurability/v1", Active: true}},
		pharma:     {{URL: esb + "/Insurability/v2", Active: true}},
		"my:name":  {{URL: esb + "/md", Active: true}},
		"unlisted": {{URL: esb + "/unlisted", Active: true}},
	}
	cfg.Trust.Hosts = []string{".example"}
	d := open(t, cfg)
	services := normal + `<Service Id="` + md + `" Name="MD"><Endpoint Order="0" Status="ACTIVE">` + esb + `/md</Endpoint><Endpoint Order="1" Status="INACTIVE">` + mcn + `/md</Endpoint></Service>` +
		`<Service Id="` + pharma + `" Name="no address"/>`
	if err := d.Offer(p.make(draft{services: services})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id string
		n  int
	}{{genins, 2}, {md, 2}, {mcmd, 2}, {"my:name", 2}, {"unlisted", 1}, {pharma, 1}, {"unknown", 0}} {
		if got := d.Endpoints(c.id); len(got) != c.n {
			t.Errorf("%s: %v", c.id, got)
		}
	}
	for _, c := range []struct {
		url, id string
	}{
		{mcn + "/genins", genins},
		{"HTTPS://MCN.example:9443/genins", genins},
		{"https://esb.example:443/md", md},
		{esb + "/unlisted", "unlisted"},
		{esb + "/GENINS", ""},
		{"::", ""},
		{"", ""},
		{esb + "/md?x", ""},
	} {
		if s, ok := d.ByURL(c.url); s.ID != c.id || ok != (c.id != "") {
			t.Errorf("%s: %q", c.url, s.ID)
		}
	}
	if n := testing.AllocsPerRun(100, func() { d.Endpoints(genins) }); n != 0 {
		t.Errorf("%v allocations in a lookup", n)
	}
}

func TestCacheRules(t *testing.T) {
	p, e := world(), &events{}
	cfg := (&server{}).config(p, e)
	d := open(t, cfg)
	service := func(id, cache string) string {
		return `<Service Id="` + id + `" Name="n"><EndpointList><Endpoint Order="0" Status="ACTIVE">` + esb + `/x</Endpoint></EndpointList>` + cache + `</Service>`
	}
	at := time.Now().Add(-time.Hour)
	for i, c := range []struct {
		id, cache string
		want      bcp.CacheRule
		ok        bool
	}{
		{genins, `<Cache Strategy="ENDPOINT_FIRST"><Key Tranform="xslt" Inline="true">x</Key><Expiry Type="ttl" Duration="P30D"/></Cache>`, bcp.CacheRule{TTL: 720 * time.Hour, Extractor: bcp.ExtractorGenIns}, true},
		{pharma, `<Cache Strategy="CACHE_FIRST"><Key Tranform="xslt" Inline="false">x</Key><Expiry Type="none"/></Cache>`, bcp.CacheRule{Strategy: bcp.CacheFirst, Extractor: bcp.ExtractorPharmacy}, true},
		{"other", `<Cache Strategy="ENDPOINT_FIRST"><Key Tranform="xslt" Inline="true">x</Key><Expiry Type="none"/></Cache>`, bcp.CacheRule{}, false},
		{genins, `<Cache Strategy="GUESS"><Key Tranform="xslt" Inline="true">x</Key><Expiry Type="none"/></Cache>`, bcp.CacheRule{}, false},
		{genins, `<Cache Strategy="CACHE_FIRST"><Key Tranform="xslt" Inline="true">x</Key><Expiry Type="ttl">soon</Expiry></Cache>`, bcp.CacheRule{}, false},
		{genins, `<Cache Strategy="CACHE_FIRST"><Key Tranform="xslt" Inline="true">x</Key><Expiry Type="ttl"/></Cache>`, bcp.CacheRule{}, false},
	} {
		e.take()
		if err := d.Offer(p.make(draft{version: 2, issued: at.Add(time.Duration(i) * time.Second), services: service(c.id, c.cache)})); err != nil {
			t.Fatal(err)
		}
		got, ok := d.CacheRule(c.id)
		ignored := 0
		for _, v := range e.take() {
			if v.Kind == bcp.Ignored && v.Service == c.id {
				ignored++
			}
		}
		if got != c.want || ok != c.ok || (ignored == 1) == c.ok {
			t.Errorf("%s: %+v %v, %d ignored", c.cache, got, ok, ignored)
		}
	}
}

func TestDefaultAddresses(t *testing.T) {
	for env, n := range map[string]int{bcp.Production: 24, bcp.Acceptance: 24, bcp.Integration: 24, "Simulation": 0} {
		all := bcp.DefaultAddresses(env)
		if len(all) != n || (bcp.DefaultURL(env) == "") != (n == 0) || (bcp.DefaultHosts(env) == nil) != (n == 0) {
			t.Errorf("%s: %d services", env, len(all))
		}
		two := 0
		for id, eps := range all {
			if first, _ := bcp.Active(eps); first.Order != 0 || !first.Active || !strings.HasPrefix(id, "uddi:ehealth-fgov-be:business:") {
				t.Errorf("%s: %v", id, eps)
			}
			if len(eps) == 2 && !eps[1].Active && eps[1].Order == 1 {
				two++
			}
		}
		if want := map[string]int{bcp.Production: 16, bcp.Acceptance: 16}[env]; two != want {
			t.Errorf("%s: %d services with an alternate", env, two)
		}
	}
	prd := bcp.DefaultAddresses(bcp.Production)
	for id, want := range map[string][2]string{
		"memberdata:v1":            {"https://services.ehealth.fgov.be/MyCareNet/MemberData/v1", "https://prod.mycarenet.be:9443/mycarenet/bed/bcp/memberData"},
		"mycareneteagreement:v1":   {"https://services.ehealth.fgov.be/MyCareNet/eAgreement/v1", "https://prod.mycarenet.be:9443/ehealth/bcp/eagreement"},
		"recip-eprescriber:v4":     {"https://services.ehealth.fgov.be/Recip-e/v4/Prescriber", "https://services.ehealth2.be/Recip-e/v4/Prescriber"},
		"genericinsurability:v1":   {"https://services.ehealth.fgov.be/GenericInsurability/v1", "https://prod.mycarenet.be:9443/ehealth/bcp/genericinsurability/v1"},
		"recip-eexecutor:v2":       {"https://services.ehealth.fgov.be/Recip-e/v2/Executor_v2", "https://services.ehealth2.be/Recip-e/v2/Executor_v2"},
		"mycarenettarification:v1": {"https://services.ehealth.fgov.be/MyCareNet/Tarification/v1", "https://prod.mycarenet.be:9443/ehealth/bcp/tarification/v1"},
	} {
		eps := prd["uddi:ehealth-fgov-be:business:"+id]
		if len(eps) != 2 || eps[0].URL != want[0] || eps[1].URL != want[1] {
			t.Errorf("%s: %v", id, eps)
		}
	}
}

// TestCloseDuringFetch: Close ends a fetch under way and tells nothing about it.
func TestCloseDuringFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, e := newPKI(), &events{}
		cfg := (&server{}).config(p, e)
		cfg.HTTP.Transport = hanging{}
		d := open(t, cfg)
		d.Start()
		time.Sleep(time.Second)
		begin := time.Now()
		if err := d.Close(); err != nil || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		e.none(t, "close")
	})
}
