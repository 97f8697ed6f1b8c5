module github.com/trackside/trackside/plugin-sdk/go/test

go 1.27

require github.com/trackside/trackside/plugin-sdk/go/sdk v0.1.0

replace github.com/trackside/trackside/plugin-sdk/go/sdk => ../sdk
