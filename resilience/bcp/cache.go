package bcp

import "time"

// Strategy says when a stored answer is used.
type Strategy uint8

// The strategies of a cache rule.
const (
	EndpointFirst Strategy = iota // ask the addresses, use a stored answer when none answers
	CacheFirst                    // use a stored answer while it lives
)

// CacheRule is what a list orders about stored answers of a service, as far as it can be obeyed.
type CacheRule struct {
	Strategy Strategy
	// TTL is how long an answer may be used, from its creation; 0 = the list sets no limit.
	TTL time.Duration
	// Extractor names the built-in function that makes the key under which an answer is stored from the request. The
	// service package knows it by that name. It takes the place of the list's stylesheet, which is never executed.
	Extractor string
}

// Names of the built-in key extractors.
const (
	ExtractorGenIns     = "insurability.general"
	ExtractorPharmacy   = "insurability.pharmacy"
	ExtractorMemberData = "insurability.memberdata"
)

// DefaultExtractors are the services whose answers this module can store, by UDDI id, with the name of the function that
// makes their keys.
func DefaultExtractors() map[string]string {
	return map[string]string{
		uddi + "genericinsurability:v1": ExtractorGenIns,
		uddi + "insurability:v2":        ExtractorPharmacy,
		uddi + "memberdata:v1":          ExtractorMemberData,
		uddi + "mycarenetmemberdata:v1": ExtractorMemberData,
	}
}

// ruleOf turns a Cache element into a rule; ok is false when there is no extractor for the service or the element is not
// understood.
func ruleOf(s *Service, extractors map[string]string) (r CacheRule, ok bool) {
	c := s.Cache
	r.Extractor = extractors[s.ID]
	switch c.Strategy {
	case "ENDPOINT_FIRST":
	case "CACHE_FIRST":
		r.Strategy = CacheFirst
	default:
		return CacheRule{}, false
	}
	switch {
	case c.Expiry == "ttl" && c.Duration > 0:
		r.TTL = c.Duration
	case c.Expiry == "none" && !c.BadDuration:
	default:
		return CacheRule{}, false
	}
	return r, r.Extractor != ""
}
