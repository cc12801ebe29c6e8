package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"sort"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// ruleBook holds the rules that documents are held to. The zero value has those of package kmehr.
type ruleBook struct {
	mu      sync.Mutex
	rules   *kmehr.Rules
	version string
	loaded  bool
}

// keptRules is what a [PropertiesStore] keeps.
type keptRules struct {
	Version    string `json:"version"`
	Properties string `json:"properties"`
}

// RulesVersion is the version of the rules in use, as the platform names it; "" = those that this module brings.
func (p *Prescriber) RulesVersion() string {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	return p.book.version
}

// rules are the rules in use: the last good ones of the platform, else our own.
func (p *Prescriber) rules() kmehr.Rules {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	if p.book.rules == nil {
		r := kmehr.DefaultRules()
		p.book.rules = &r
	}
	return *p.book.rules
}

// LoadRules takes the rules that the store kept, without asking the platform: to be called once at the start. Nothing kept is
// no error; what cannot be read leaves the rules as they are.
func (p *Prescriber) LoadRules(ctx context.Context) error {
	if p.conf.Properties == nil {
		return nil
	}
	b, err := p.conf.Properties.Load(ctx)
	if err != nil || b == nil {
		return err
	}
	var kept keptRules
	if err := json.Unmarshal(b, &kept); err != nil {
		return errRules
	}
	return p.take(kept)
}

const errRules reason = "recipe: rules that cannot be read"

func (p *Prescriber) take(kept keptRules) error {
	r, err := kmehr.ParseRules([]byte(kept.Properties))
	if err != nil {
		return err
	}
	if len(r.Types()) == 0 {
		return errRules
	}
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	p.book.rules, p.book.version, p.book.loaded = &r, kept.Version, true
	return nil
}

// Properties are the rules that the platform publishes.
type Properties struct {
	Version string
	// Schemas are zip files of schemas; Rules the assert lines by their keys.
	Schemas []protocol.File
	Rules   []protocol.Property
	// New tells that they differ from those in use before, and are used from now on.
	New bool
}

// ValidationProperties asks the platform for the rules of documents, and uses them from now on when they are newer and can be
// read. Whatever goes wrong, the last good ones stay in use.
func (p *Prescriber) ValidationProperties(ctx context.Context) (*Properties, error) {
	version := p.RulesVersion()
	a, err := ask(ctx, p.client, question[*protocol.ValidationPropertiesResult]{
		op: validationProperties, result: func() *protocol.ValidationPropertiesResult { return new(protocol.ValidationPropertiesResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.ValidationPropertiesParam{Keyed: k, ClientPropertiesVersion: orElse(version, "0")}
		},
	})
	if err != nil {
		return nil, err
	}
	r := a.Result
	out := &Properties{Version: r.ServerPropertiesVersion, Schemas: r.XSDValidationFiles, Rules: r.Properties}
	if len(r.Properties) == 0 || r.ServerPropertiesVersion == version {
		return out, nil
	}
	kept := keptRules{r.ServerPropertiesVersion, propertiesText(r.Properties)}
	if err := p.take(kept); err != nil {
		return out, p.damaged(validationProperties.name, err)
	}
	out.New = true
	if p.conf.Properties == nil {
		return out, nil
	}
	b, err := json.Marshal(kept)
	if err == nil {
		err = p.conf.Properties.Save(ctx, b)
	}
	if err != nil {
		e := p.damaged(validationProperties.name, errors.Join(errKeep, err))
		return out, e
	}
	return out, nil
}

const errKeep reason = "recipe: the rules could not be kept"

// propertiesText writes the entries as a properties file.
func propertiesText(all []protocol.Property) string {
	lines := make([]string, 0, len(all))
	escape := strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
	for _, e := range all {
		lines = append(lines, e.Key+"="+escape.Replace(e.Value))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}
