//go:build !wasip1

package trackside

// Register makes this the plugin that the component is; once, in an init function. In tests it does nothing.
func Register[Settings any](Configure[Settings]) {}
