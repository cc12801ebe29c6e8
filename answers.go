package ehealth

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// answersFile is where stored answers are kept in DataDir.
const answersFile = "answers.db"

// storedAnswers is what [Platform.Health] says while insurability is answered from the store.
const storedAnswers = "stored answers"

// openAnswers opens the store of answers, if there is to be one. Only a wrong key, or a store that
// a newer program filled, is an error: answers are there to help in an outage, and a program that does not start
// because of them would be one.
func (p *Platform) openAnswers(ctx context.Context, hok keystore.Credential) error {
	cfg := &p.config
	if cfg.NoStoredAnswers || cfg.Answers == nil && cfg.DataDir == "" {
		return nil
	}
	key, err := answersKey(cfg, hok)
	if err != nil {
		return fmt.Errorf("stored answers: key: %w", err)
	}
	options := []cache.AnswersOption{cache.WithTakeOver(0), cache.OnAnswers(p.answersTold)}
	if cfg.Answers != nil {
		p.Answers, err = cache.NewAnswers(ctx, cfg.Answers, key, options...)
	} else {
		p.Answers, err = cache.OpenAnswers(ctx, filepath.Join(cfg.DataDir, answersFile), key, options...)
	}
	if err == nil || errors.Is(err, cache.ErrKey) || errors.Is(err, cache.ErrVersion) || ctx.Err() != nil {
		return wrapped("stored answers", err)
	}
	p.answersTold(cache.AnswersEvent{Kind: cache.NotRead, Err: err})
	p.Answers, err = cache.NewAnswers(ctx, nil, key, options...)
	return wrapped("stored answers", err)
}

func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// answersKey is the key of DataDir; without one there is no place to keep a random one.
func answersKey(cfg *Config, hok keystore.Credential) (cache.Key, error) {
	if cfg.DataKey == nil && cfg.DataDir == "" {
		return cache.KeyFromSigner(hok.Signer)
	}
	return dataKey(cfg, hok)
}

func (p *Platform) answersTold(e cache.AnswersEvent) {
	p.telemetry.Stored(e.Kind.String(), answersReason(e.Err))
	if p.config.OnAnswers != nil {
		p.config.OnAnswers(e)
	}
}

// answersReason is the word for an error of the store, whose text may hold what a disk or a database
// said.
func answersReason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range []struct {
		err  error
		word string
	}{
		{cache.ErrInUse, "in_use"},
		{cache.ErrFull, "full"},
		{cache.ErrBusy, "busy"},
		{cache.ErrCorrupt, "damaged"},
		{cache.ErrKey, "key"},
		{cache.ErrVersion, "newer"},
		{cache.ErrTooLarge, "too_large"},
		{cache.ErrClosed, "closed"},
	} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "_OTHER"
}

// insurabilityOptions connect the ladder with what the platform knows and tells.
func (p *Platform) insurabilityOptions() []insurability.Option {
	cfg := &p.config
	var fromStore atomic.Bool
	health := func(s insurability.Source) {
		stored := s == insurability.Stored
		switch {
		case s == insurability.Unknown || fromStore.Swap(stored) == stored:
		case stored:
			p.Health.Report(FunctionInsurability, storedAnswers, "")
		default:
			p.Health.Report(FunctionInsurability, "", "")
		}
	}
	options := []insurability.Option{
		insurability.WithTimeout(cfg.InsurabilityTimeout), insurability.WithEnvironment(string(cfg.Environment)),
		insurability.OnAnswer(func(service string, s insurability.Source) {
			p.telemetry.Answered(service, s.String())
			health(s)
		}),
		insurability.OnRecheck(func(r insurability.Recheck) {
			health(r.After.Source)
			if cfg.OnRecheck != nil {
				cfg.OnRecheck(r)
			}
		}),
	}
	if p.Answers != nil {
		options = append(options, insurability.WithStored(p.Answers))
	}
	return options
}

// closeAnswers ends the checks in the background, then the store.
func (p *Platform) closeAnswers() error {
	var errs []error
	if p.Insurability != nil {
		errs = append(errs, p.Insurability.Close())
	}
	if p.Answers != nil {
		errs = append(errs, p.Answers.Close())
	}
	return errors.Join(errs...)
}
