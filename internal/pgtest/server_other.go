//go:build !unix

package pgtest

import (
	"context"
	"errors"
)

// Server is one PostgreSQL server: here only that of $EHEALTH_POSTGRES.
type Server struct{ admin string }

func private(context.Context) (*Server, error) { return nil, ErrAbsent }

// Start does nothing: the server is not ours.
func (s *Server) Start(context.Context) error { return nil }

// Kill9 is an error: the server is not ours.
func (s *Server) Kill9() error { return errors.New("pgtest: no server of ours is running") }

// Stop does nothing: the server is not ours.
func (s *Server) Stop() error { return nil }
