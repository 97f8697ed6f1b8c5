package host

import "unsafe"

// The contract's imports, lowered as the component model's canonical ABI has it: a string or list is an address and a
// length, and what does not fit into one number is written to a place that the last argument tells.

//go:wasmimport trackside:plugin/message@0.1.0 subject
func importSubject(result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 id
func importID(result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 origin
func importOrigin() uint32

//go:wasmimport trackside:plugin/message@0.1.0 timestamp
func importTimestamp() uint64

//go:wasmimport trackside:plugin/message@0.1.0 delivery
func importDelivery() uint32

//go:wasmimport trackside:plugin/message@0.1.0 get-header
func importGetHeader(name string, result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 headers
func importHeaders(result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 set-header
func importSetHeader(name, value string, result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 append-header
func importAppendHeader(name, value string, result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 remove-header
func importRemoveHeader(name string)

//go:wasmimport trackside:plugin/message@0.1.0 payload
func importPayload(result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 payload-len
func importPayloadLen() uint32

//go:wasmimport trackside:plugin/message@0.1.0 set-payload
func importSetPayload(bytes unsafe.Pointer, length uint32)

//go:wasmimport trackside:plugin/message@0.1.0 select
func importSelect(selector uint32, result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 replace
func importReplace(selector uint32, values uint32, length uint32, result unsafe.Pointer)

//go:wasmimport trackside:plugin/message@0.1.0 [static]selector.compile
func importCompile(paths uint32, length uint32, result unsafe.Pointer)

//go:wasmimport trackside:plugin/setup@0.1.0 routes
func importRoutes(result unsafe.Pointer)

//go:wasmimport trackside:plugin/setup@0.1.0 read-file
func importReadFile(path string, result unsafe.Pointer)

//go:wasmimport trackside:plugin/log@0.1.0 log
func importLog(level uint32, line string)
