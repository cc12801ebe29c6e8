package main

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

type sandboxCmd struct {
	Dir  string `help:"Directory for ca.pem, key stores and sandbox.json." placeholder:"DIR" required:"" type:"path"`
	Addr string `help:"Address of the services behind the ESB; port 0 picks one." placeholder:"HOST:PORT" default:"127.0.0.1:0"`
	Seed uint64 `help:"Seed of the population and of the fault draws." default:"1"`
}

// ready is the one line that says that the sandbox may be used.
type ready struct {
	Ready  bool   `json:"ready"`
	Config string `json:"config"` // path of sandbox.json
	CA     string `json:"ca"`     // path of ca.pem
	Admin  string `json:"admin"`  // URL of the admin API
}

func (c *sandboxCmd) Run(ctx context.Context, s streams) error {
	sb, err := sandbox.New(sandbox.Config{Seed: c.Seed, Keys: sandbox.FreshKeys(), Listen: c.Addr, Incident: incident.Get})
	if err != nil {
		return err
	}
	defer sb.Close()
	if err := sb.WriteEnvironment(c.Dir); err != nil {
		return err
	}
	line := ready{
		Ready: true, Admin: sb.AdminURL(),
		Config: filepath.Join(c.Dir, "sandbox.json"), CA: filepath.Join(c.Dir, "ca.pem"),
	}
	// One line without indentation: whoever started us reads up to the first line end.
	if err := json.NewEncoder(s.out).Encode(line); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
