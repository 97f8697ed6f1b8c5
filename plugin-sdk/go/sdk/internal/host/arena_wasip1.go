package host

import "unsafe"

// chunkWords is how much an arena takes at a time, in words of 8 bytes: what most messages need.
const chunkWords = 4 << 10

// arena hands out memory that stays where it is and is given back all at once. What crosses to the host and back lives
// in one: the collector knows nothing of the addresses that the host has, and would free or, on a stack, move it.
type arena struct {
	chunk []uint64
	used  uintptr
	// full keeps the chunks alive that were too small for what came next.
	full [][]uint64
}

// alloc gives so many bytes, aligned to 8.
func (a *arena) alloc(size uintptr) unsafe.Pointer {
	words := (size + 7) / 8
	if a.used+words > uintptr(len(a.chunk)) {
		if a.chunk != nil {
			a.full = append(a.full, a.chunk)
		}
		a.chunk = make([]uint64, max(words, chunkWords))
		a.used = 0
	}
	if words == 0 {
		return unsafe.Pointer(unsafe.SliceData(a.chunk))
	}
	pointer := unsafe.Pointer(&a.chunk[a.used])
	a.used += words
	return pointer
}

// reset gives everything back. One chunk is kept, but none that was made for something large.
func (a *arena) reset() {
	if len(a.chunk) > chunkWords {
		a.chunk = nil
	}
	a.full = nil
	a.used = 0
}

// text copies a string into the arena.
func (a *arena) text(text string) (address, length uint32) {
	pointer := a.alloc(uintptr(len(text)))
	copy(unsafe.Slice((*byte)(pointer), len(text)), text)
	return addressOf(pointer), uint32(len(text))
}

// words gives a list of words for records and variants to be written to.
func (a *arena) words(count int) ([]uint32, uint32) {
	pointer := a.alloc(uintptr(count) * 4)
	words := unsafe.Slice((*uint32)(pointer), count)
	clear(words)
	return words, addressOf(pointer)
}

// addressOf gives an address as the host has it: memory has 32 bits, though Go's pointers here have 64.
func addressOf(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

// at gives the memory at an address that the host told.
func at(address uint32) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }

// wordsAt gives the words at an address that the host told.
func wordsAt(address uint32, count uint32) []uint32 {
	if count == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(at(address)), count)
}

// textAt copies a string that the host put into memory.
func textAt(address, length uint32) string { return string(bytesAt(address, length)) }

func bytesAt(address, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(at(address)), length)
}
