package recipe

import (
	"bytes"
	"encoding/json"
	"log/slog"
)

// asJSON is what a program that dumps a value gets; a refusal to write it is fine.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// logged is what values look like in both forms of a log.
func logged(values ...any) string {
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		for _, v := range values {
			slog.New(h).Info("test", "value", v)
		}
	}
	return out.String()
}
