package trackside

import "github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"

// Level is how severe a line of the log is.
type Level int

// The levels of the log.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

// Log logs a line. A plugin that calls it needs `grants = ["log"]` in its configuration.
func Log(level Level, line string) { host.Log(int(level), line) }
