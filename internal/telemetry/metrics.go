package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// instruments are those that events are written to; those of Stats are made with their callback.
type instruments struct {
	calls, attempts, refusals, changes, session, list, items, answered, stored metric.Int64Counter
	callTime, tryTime                                                          metric.Float64Histogram
	health                                                                     metric.Int64Gauge
	issued                                                                     metric.Int64Gauge
}

func (in *instruments) make(m metric.Meter) error {
	var errs []error
	counter := func(d *metricDef) metric.Int64Counter {
		i, err := m.Int64Counter(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.About))
		errs = append(errs, err)
		return i
	}
	histogram := func(d *metricDef) metric.Float64Histogram {
		i, err := m.Float64Histogram(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.About), metric.WithExplicitBucketBoundaries(boundaries...))
		errs = append(errs, err)
		return i
	}
	gauge := func(d *metricDef) metric.Int64Gauge {
		i, err := m.Int64Gauge(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.About))
		errs = append(errs, err)
		return i
	}
	in.calls, in.attempts, in.refusals = counter(&mCalls), counter(&mAttempts), counter(&mRefusals)
	in.changes, in.session, in.list = counter(&mChanges), counter(&mSession), counter(&mList)
	in.callTime, in.tryTime = histogram(&mCallTime), histogram(&mTryTime)
	in.items, in.answered, in.stored = counter(&mItems), counter(&mAnswered), counter(&mStored)
	in.health, in.issued = gauge(&mHealth), gauge(&mListIssue)
	return errors.Join(errs...)
}

// eventKey is everything of an event that becomes an attribute.
type eventKey struct {
	call                        bool
	op, service, endpoint, code string
	class                       resilience.Class
	outcome                     fault.Outcome
	kind                        fault.Kind
	hedged                      bool
	why                         resilience.Why
	verdict                     resilience.Verdict
}

// eventSets are the attributes of an event, ready for use: slices, so that handing them on does
// not allocate.
type eventSets struct {
	count   []metric.AddOption
	time    []metric.RecordOption
	refusal []metric.AddOption // nil = the call was not refused here
}

var overflow = func() *eventSets {
	o := metric.WithAttributeSet(attribute.NewSet(keyOverflow.Bool(true)))
	return &eventSets{count: []metric.AddOption{o}, time: []metric.RecordOption{o}, refusal: []metric.AddOption{o}}
}()

func keyOf(ev *resilience.Event) eventKey {
	return eventKey{
		call: ev.Call, op: ev.Op, service: ev.Service, endpoint: ev.Endpoint, code: ev.Code, class: ev.Class,
		outcome: ev.Outcome, kind: ev.Kind, hedged: ev.Hedged, why: ev.Why, verdict: ev.Verdict,
	}
}

// setsOf returns the sets of an event. Only clean keys are kept, so that what has no form cannot
// fill the cache.
func (t *Telemetry) setsOf(ev *resilience.Event) *eventSets {
	k := keyOf(ev)
	if s, ok := t.sets.get(k); ok {
		return s
	}
	host, port := t.host(k.endpoint)
	k.op, k.service, k.code, k.why = t.name(k.op), t.name(k.service), t.code(k.code), knownWhy(k.why)
	if host == other {
		k.endpoint = other
	}
	if s, ok := t.sets.get(k); ok {
		return s
	}
	s, ok := t.sets.put(k, newSets(&k, host, port))
	if !ok {
		return &eventSets{count: overflow.count, time: overflow.time, refusal: overflowRefusal(&k)}
	}
	return s
}

func overflowRefusal(k *eventKey) []metric.AddOption {
	if k.call && refusalOf(k.why) != "" {
		return overflow.refusal
	}
	return nil
}

func newSets(k *eventKey, host string, port int) *eventSets {
	kvs := []attribute.KeyValue{keyOp.String(k.op), keyService.String(k.service), keyOutcome.String(words(k.outcome.String())), keyHedged.Bool(k.hedged)}
	kvs = append(kvs, address(host, port)...)
	if k.kind != 0 {
		kvs = append(kvs, keyError.String(words(k.kind.String())))
	}
	if k.code != "" {
		kvs = append(kvs, keyCode.String(k.code))
	}
	s := &eventSets{time: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kvs...))}}
	kvs = append(kvs, keyClass.String(className(k.class)))
	if k.call {
		kvs = append(kvs, keyEnd.String(words(string(k.why))))
		if r := refusalOf(k.why); r != "" {
			s.refusal = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(keyOp.String(k.op), keyService.String(k.service), keyRefusal.String(r)))}
		}
	} else {
		kvs = append(kvs, keyReason.String(words(string(k.why))), keyVerdict.String(verdictName(k.verdict)))
	}
	s.count = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(kvs...))}
	return s
}

// address returns the attributes of a host, none for "".
func address(host string, port int) []attribute.KeyValue {
	switch {
	case host == "":
		return nil
	case port == 0:
		return []attribute.KeyValue{keyHost.String(host)}
	}
	return []attribute.KeyValue{keyHost.String(host), keyPort.Int(port)}
}

var whys = map[resilience.Why]bool{
	resilience.WhyFirst: true, resilience.WhyRetry: true, resilience.WhySwitch: true, resilience.WhyRenewed: true,
	resilience.WhyHedge: true, resilience.WhyCanceled: true, resilience.WhyDeadline: true, resilience.WhyAttempts: true,
	resilience.WhyBudget: true, resilience.WhyOutcome: true, resilience.WhyUseless: true, resilience.WhyRefused: true,
	resilience.WhyDone: true,
}

func knownWhy(w resilience.Why) resilience.Why {
	if whys[w] {
		return w
	}
	return other
}

func refusalOf(w resilience.Why) string {
	switch w {
	case resilience.WhyBudget:
		return "budget"
	case resilience.WhyRefused:
		return "local"
	}
	return ""
}

func className(c resilience.Class) string {
	switch c {
	case resilience.Read:
		return "read"
	case resilience.IdempotentWrite:
		return "idempotent_write"
	case resilience.ResolvableWrite:
		return "resolvable_write"
	case resilience.UnsafeWrite:
		return "unsafe_write"
	}
	return other
}

func verdictName(v resilience.Verdict) string {
	switch v {
	case resilience.Success:
		return "success"
	case resilience.Failed:
		return "failure"
	}
	return "ignored"
}

// rare returns the measurement option of something that happens seldom, made once.
func (t *Telemetry) rare(kvs ...attribute.KeyValue) metric.MeasurementOption {
	set := attribute.NewSet(kvs...)
	if o, ok := t.others.Load(set.Equivalent()); ok {
		return o.(metric.MeasurementOption) //nolint:forcetypeassert // only this function stores
	}
	if t.sparse.Add(1) > maxRare {
		return overflow.count[0].(metric.MeasurementOption) //nolint:forcetypeassert // made as one
	}
	o, _ := t.others.LoadOrStore(set.Equivalent(), metric.WithAttributeSet(set))
	return o.(metric.MeasurementOption) //nolint:forcetypeassert // as above
}
