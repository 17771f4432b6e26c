-- A yardstick: what checks an HS256 token inside nginx itself (ngx_http_lua), as people who have no gate do. Signature,
-- algorithm, kind and expiry are checked of every request; nothing is remembered, nothing can be revoked.

local ffi = require "ffi"
local cjson = require "cjson.safe"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *d, size_t n, unsigned char *md, unsigned int *md_len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]

local sha256 = ffi.C.EVP_sha256()
local buffer, length = ffi.new("unsigned char[64]"), ffi.new("unsigned int[1]")

local function decode(text)
    return ngx.decode_base64((text:gsub("-", "+"):gsub("_", "/")) .. ("="):rep(-#text % 4))
end

local function claims(secret, authorization)
    local token = authorization and authorization:match("^Bearer ([%w%-_]+%.[%w%-_]+%.[%w%-_]+)$")
    if not token then return end
    local header, payload, signature = token:match("^([^.]+)%.([^.]+)%.([^.]+)$")
    local told = cjson.decode(decode(header) or "")
    local sent = decode(signature)
    if not told or told.alg ~= "HS256" or not sent or #sent ~= 32 then return end
    local message = header .. "." .. payload
    ffi.C.HMAC(sha256, secret, #secret, message, #message, buffer, length)
    if ffi.C.CRYPTO_memcmp(buffer, sent, 32) ~= 0 then return end
    local body = cjson.decode(decode(payload) or "")
    if not body or body.token_type ~= "access" or not body.exp or body.exp <= ngx.time() then return end
    return body
end

return function(secret)
    local body = claims(secret, ngx.var.http_authorization)
    if not body then return ngx.exit(401) end
    ngx.req.set_header("X-Auth-User-Id", body.user_id)
end
