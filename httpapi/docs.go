package httpapi

// addDescription adds the API's description, for programs and for people.
func (p pages) addDescription() {
	p.files["/openapi.json"] = newPageFile(openAPIJSON(), contentType(".json"))
}
