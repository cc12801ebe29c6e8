package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// observables are the instruments that are read when somebody collects.
type observables struct {
	blocked, probes metric.Int64ObservableCounter
	active          metric.Int64ObservableUpDownCounter
	budget          metric.Float64ObservableGauge
	limit, breaker  metric.Int64ObservableGauge
}

// Stats connects the counters of an engine, read whenever metrics are collected. stop
// disconnects them.
func (t *Telemetry) Stats(source func() []resilience.Stats) (stop func(), err error) {
	o, err := t.observables()
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	reg, err := t.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for _, s := range source() {
			t.observeService(to, o, &s)
		}
		return nil
	}, o.blocked, o.probes, o.active, o.budget, o.limit, o.breaker)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil // an error would say that it was not registered
}

func (t *Telemetry) observables() (o observables, err error) {
	var errs [6]error
	m := t.meter
	o.blocked, errs[0] = m.Int64ObservableCounter(mBlocked.Name, metric.WithUnit(mBlocked.Unit), metric.WithDescription(mBlocked.About))
	o.probes, errs[1] = m.Int64ObservableCounter(mProbes.Name, metric.WithUnit(mProbes.Unit), metric.WithDescription(mProbes.About))
	o.active, errs[2] = m.Int64ObservableUpDownCounter(mActive.Name, metric.WithUnit(mActive.Unit), metric.WithDescription(mActive.About))
	o.budget, errs[3] = m.Float64ObservableGauge(mBudget.Name, metric.WithUnit(mBudget.Unit), metric.WithDescription(mBudget.About))
	o.limit, errs[4] = m.Int64ObservableGauge(mLimit.Name, metric.WithUnit(mLimit.Unit), metric.WithDescription(mLimit.About))
	o.breaker, errs[5] = m.Int64ObservableGauge(mBreaker.Name, metric.WithUnit(mBreaker.Unit), metric.WithDescription(mBreaker.About))
	return o, errors.Join(errs[:]...)
}

func (t *Telemetry) observeService(to metric.Observer, o observables, s *resilience.Stats) {
	service := keyService.String(t.name(s.Service))
	with := func(kvs ...attribute.KeyValue) metric.MeasurementOption { return t.rare(append(kvs, service)...) }
	to.ObserveInt64(o.blocked, s.NotAllowed, with(keyBlocked.String("breaker")))
	to.ObserveInt64(o.blocked, s.Refused, with(keyBlocked.String("limit")))
	to.ObserveInt64(o.probes, s.Probes, with())
	to.ObserveInt64(o.active, int64(s.InFlight), with())
	if s.Budget >= 0 {
		to.ObserveFloat64(o.budget, s.Budget, with())
	}
	for i := range s.Endpoints {
		ep := &s.Endpoints[i]
		host, port := t.host(hostOf(ep.Endpoint))
		at := with(address(host, port)...)
		to.ObserveInt64(o.breaker, int64(min(ep.State, resilience.ForcedOpen)), at)
		if ep.Limit >= 0 {
			to.ObserveInt64(o.limit, int64(ep.Limit), at)
		}
	}
}
