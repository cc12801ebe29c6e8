package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/drill"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

type drillCmd struct {
	Incident []string `arg:"" optional:"" help:"Incidents to replay, in the order of their dates; INC-2018-06-12-LB when absent."`
	Seed     uint64   `help:"Seed of questions, population and fault draws." default:"1"`
	Fleet    int      `help:"Number of pharmacies." default:"0"`
	JSON     bool     `help:"Write one JSON object." name:"json"`
	figuresFlags
}

func (c *drillCmd) Run(ctx context.Context, s streams) error {
	if c.Figures {
		return c.measure(ctx, s, c.JSON)
	}
	ids := c.Incident
	if len(ids) == 0 {
		ids = []string{drill.DefaultIncident}
	}
	start := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		script, ok := incident.Get(id)
		if !ok {
			return usageError{fmt.Errorf("%w: %q", drill.ErrUnknownIncident, id)}
		}
		start[id] = script.T0
	}
	// Virtual time only goes forward.
	slices.SortStableFunc(ids, func(a, b string) int { return start[a].Compare(start[b]) })
	endOnSignal(ctx, s, false)
	drill.Main(func() int {
		if err := c.replay(s, ids); err != nil {
			return report(s, err)
		}
		return exitDone
	})
	return errors.New("the drill did not end") // Main ends the process
}

func (c *drillCmd) replay(s streams, ids []string) error {
	var all []*drill.Report
	for i, id := range ids {
		r, err := drill.Run(drill.Options{Incident: id, Seed: c.Seed, Pharmacies: c.Fleet})
		if err != nil {
			return err
		}
		all = append(all, r)
		if c.JSON {
			continue
		}
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		if err := r.WriteText(s.out); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(s.out, map[string]any{"drills": all})
	}
	return nil
}
