module github.com/trackside/trackside/plugin-sdk/go/sdk

go 1.27
