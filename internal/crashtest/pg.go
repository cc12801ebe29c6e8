package main

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func (w *worker) openPostgres(context.Context) (*back, error) { return nil, errors.ErrUnsupported }

func downgradePostgres(context.Context, string) error { return errors.ErrUnsupported }

func (w *worker) node(context.Context, *outbox.Box) error { return nil }

func (w *worker) holdOnce() func(time.Time) bool { return nil }
