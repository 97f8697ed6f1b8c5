module my-plugin

go 1.27

require github.com/trackside/trackside/plugin-sdk/go/sdk v0.1.0

// The project carries the SDK.
replace github.com/trackside/trackside/plugin-sdk/go/sdk => ./sdk
